"""From data to a trained model: a training is a list of stages, all run by one loop.

Begin with `run` (opens a training, runs its stages, finishes it), `loop` (the epochs of any stage) and
`stages.cross_entropy` (the first stage). `captioning`, `compact` and `characters` say which stages make which model.
`step` compiles any loss. `split` holds the data of a stage, `batches` cuts it, `row_cache` keeps what is made once of
photos. `checkpoint` keeps the state between epochs, `evaluation` scores, `card` and `artifacts` describe the result.
"""

"""From data to a trained model: a training is a list of stages, all run by one loop.

Begin with `run` (opens a training, runs its stages, finishes it), `loop` (the epochs of any stage) and
`stages.cross_entropy` (the first stage). `captioning`, `compact` and `characters` say which stages make which model.
`inputs` is what stages read, and `step` compiles any loss of it. `checkpoint` keeps the state between epochs, and
`evaluation` scores. `fitting` has what is fitted to the finished network; `card` and `artifacts` describe it.
"""

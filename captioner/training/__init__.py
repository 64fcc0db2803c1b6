"""From a data set to a trained model; `run` joins the stages.

`features` are made once, a `split` holds them beside the captions, `batches` are drawn from it, `step` lowers the
`loss` over them, `fit` does so epoch by epoch with a `checkpoint` and an `evaluation` after each, `card` tells of it.
The character language model goes the same way: `char_run`, with `streams` of a text, `char_step`, `char_fit` and
`char_card`. Both share the `optimizer` and the `checkpoint`.
"""

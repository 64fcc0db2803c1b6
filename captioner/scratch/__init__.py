"""The recurrent network of *Deep Learning from Scratch 2* in NumPy alone, its backward pass beside the formulas.

Read `activations`, then `rnn_layer` (one step, examples as rows) and `vector_rnn` (the same step as Karpathy has it,
with a vector as a column; its docstring maps the two). `time_rnn` goes through a window of T steps and back; `layers`
and `loss` stand before and behind it; `optimizers` moves the parameters; `hello` joins them all. docs/rnn.md names
the sources. A layer has `params` and, in the same order, `grads`, which `backward` overwrites in place, so that lists
of both can be collected once; `cache` is what `forward` keeps for `backward`. The letters: N examples, T steps, D
inputs, H hidden units, V vocabulary. With parameters in float64 these layers are the oracle of the Keras cell.
"""

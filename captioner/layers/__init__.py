"""Keras layers in `keras.ops` alone, so that they run on every Keras backend.

Read `cells` (the recurrence), then `attention`, then `decoder`, which joins the two in one `step`. `stack` puts cells
one above the other, for the language model. Importing this package registers all of them, so that Keras loads files
that hold them.
"""

from captioner.layers.attention import BahdanauAttention
from captioner.layers.cells import GRUCell, LSTMCell, RNNCell
from captioner.layers.decoder import Decoder

__all__ = ["BahdanauAttention", "Decoder", "GRUCell", "LSTMCell", "RNNCell"]

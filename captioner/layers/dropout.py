"""Dropout at a fraction of the usual cost."""

from typing import Any

import keras
import numpy as np
from keras import ops

BYTE = 256


def epoch_seed(*numbers: int) -> np.ndarray:
    """Mix numbers such as the seed and the epoch into the state of a seed generator, uint32 (2,).

    Keras counts the second half of the state up with each draw. Mixed states lie far apart, so that no epoch, however
    many batches it has, comes to the numbers of another.
    """
    return np.random.SeedSequence(numbers).generate_state(2)


@keras.saving.register_keras_serializable("captioner")
class ByteDropout(keras.layers.Dropout):
    """Drop numbers at random in training, and scale up those that stay (Srivastava et al. 2014).

    Like `keras.layers.Dropout`, but with one random byte per number instead of four, since drawing random bytes takes
    most of dropout's time. The dropped share is therefore a multiple of 1/256.
    """

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return an array like `inputs` (..., W)."""
        threshold = round(self.rate * BYTE)
        if not training or not threshold:
            return inputs
        shape, width = ops.shape(inputs), inputs.shape[-1]
        words = (*shape[:-1], -(-width // 4))
        bits = keras.random.randint(words, -(2**31), 2**31 - 1, "int32", seed=self.seed_generator)
        numbers = ops.view(bits, "uint8")[..., :width]  # (..., W)
        scale = ops.cast(BYTE / (BYTE - threshold), inputs.dtype)
        return inputs * ops.where(numbers >= threshold, scale, ops.zeros_like(scale))

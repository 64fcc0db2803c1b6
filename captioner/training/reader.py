"""Read what does not change through layers that do."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from captioner.ahead import ahead
from captioner.training.shards import shard_count


class Reader:
    """Reads arrays through a network, on all cores; its weights may change between calls.

    Args:
        network: arrays (B, ...) to features (B, L, D), in float32.
        dtype: of the arrays.
        prepare: what is done to them before, in the graph.
    """

    def __init__(self, network: keras.Model, dtype: tf.DType, prepare: Callable[[Any], Any]) -> None:
        signature = [tf.TensorSpec((None, *network.input_shape[1:]), dtype)]
        self._graph = tf.function(lambda lot: network(prepare(lot), training=False), signature, autograph=False)
        self._shape = network.output_shape[1:]

    def __call__(self, arrays: Any, rows: np.ndarray, batch_size: int = 50) -> np.ndarray:
        """Return the features float16 (M, L, D) of these rows (M,) of the arrays."""
        features = np.empty((len(rows), *self._shape), np.float16)
        lots = [slice(at, at + batch_size) for at in range(0, len(rows), batch_size)]
        read = ahead(lambda lot: self._graph(arrays[rows[lot]]).numpy(), lots, shard_count())
        for lot, seen in zip(lots, read, strict=True):
            features[lot] = seen
        return features

"""Extraction of features from fixed arrays, through layers whose weights change."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from captioner.system.prefetch import prefetch_map
from captioner.training.devices import shard_count
from captioner.training.inputs.split import Split

BATCH_SIZE = 50


class FeatureExtractor:
    """A feature extractor that runs a network on all cores; its weights may change between calls.

    Args:
        network: arrays (B, ...) to features (B, L, D), in float32.
        dtype: of the arrays.
        prepare: what is done to them first, in the graph.
    """

    def __init__(self, network: keras.Model, dtype: tf.DType, prepare: Callable[[Any], Any]) -> None:
        signature = [tf.TensorSpec((None, *network.input_shape[1:]), dtype)]
        self._graph = tf.function(lambda batch: network(prepare(batch), training=False), signature, autograph=False)
        self._shape = network.output_shape[1:]

    def __call__(self, split: Split, views: int = 1) -> Split:
        """Return a split whose features are those of the first `views` views of each photo, float16 (M, L, D)."""
        firsts = np.arange(0, split.features.shape[0], split.views)
        rows = (firsts[:, None] + np.arange(views)).reshape(-1)
        features = np.empty((len(rows), *self._shape), np.float16)
        batches = [slice(at, at + BATCH_SIZE) for at in range(0, len(rows), BATCH_SIZE)]
        read = prefetch_map(lambda batch: self._graph(split.features[rows[batch]]).numpy(), batches, shard_count())
        for batch, values in zip(batches, read, strict=True):
            features[batch] = values
        first_rows = np.asarray(split.rows) // split.views * views
        return replace(split, features=features, rows=first_rows, views=views, source="")


def grid_extractor(layers: keras.Model) -> FeatureExtractor:
    """Return an extractor through an encoder's last layers, grid float16 (B, L', D') to features (B, L, D)."""
    return FeatureExtractor(layers, tf.float16, lambda grid: tf.cast(grid, tf.float32))


def photo_extractor(encoder: keras.Model) -> FeatureExtractor:
    """Return an extractor of whole photos through an encoder, pixels uint8 (B, S, S, 3) to features (B, L, D)."""
    return FeatureExtractor(encoder, tf.uint8, scale_pixels)


def scale_pixels(images: tf.Tensor) -> tf.Tensor:
    """Scale images uint8 (B, S, S, 3) to [-1, 1], as `captioner.photos.preprocessing.preprocess` does."""
    return tf.cast(images, tf.float32) / 127.5 - 1.0

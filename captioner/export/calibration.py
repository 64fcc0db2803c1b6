"""Confidence and familiarity inside a TensorFlow graph; a test compares them with `model_files.calibration`."""

from typing import Any

import numpy as np
import tensorflow as tf

from captioner.model_files.calibration import Calibration


class CalibrationGraph(tf.Module):
    """Confidence and familiarity of a batch of images, on tensors.

    B is the size of the batch, N the captions of an image, P the points of the table, R the directions.

    Args:
        known: what the model knows; its limits and its arrays become part of the graph.
    """

    def __init__(self, known: Calibration) -> None:
        super().__init__(name="calibration")
        self._config = known.config
        x, y = (known.arrays[name].astype(np.float64) for name in ("scores", "shares"))  # (P,), as np.interp takes them
        steps = np.diff(x)  # (P-1,)
        slopes = np.divide(np.diff(y), steps, out=np.zeros_like(steps), where=steps > 0)
        self._scores, self._shares = tf.constant(x), tf.constant(y)
        self._slopes = tf.constant(np.append(slopes, 0.0))  # (P,), from each point to the next; behind the last none
        self._mean, self._deviation = tf.constant(known.arrays["mean"]), tf.constant(known.arrays["deviation"])
        # (R, D), in half precision as in the file; a variable, so that it lies beside the weights and not in the graph
        self._directions = tf.Variable(known.arrays["directions"], trainable=False, name="directions")

    def confidence(self, log_probs: Any, lengths: Any) -> Any:
        """Return float32 (B, N), the expected shares of right content words; NaN for no caption.

        Args:
            log_probs: float64 (B, N), of the captions; -inf if there is none.
            lengths: int32 (B, N), the tokens in them, the end token counted.
        """
        counted = tf.cast(tf.maximum(lengths, 1), tf.float64)
        scores = log_probs / counted**self._config.length_penalty  # (B, N), not those that the search ranked by
        points = tf.maximum(_searchsorted(self._scores, scores) - 1, 0)  # the last that is not above, else the first
        start, share, slope = (tf.gather(each, points) for each in (self._scores, self._shares, self._slopes))
        found = share + slope * tf.maximum(scores - start, 0.0)
        return tf.cast(tf.where(log_probs > -float("inf"), found, float("nan")), tf.float32)

    def is_familiar(self, features: Any) -> Any:
        """Return which images with features (B, L, D) are like those that the model learned from: bool (B,)."""
        x = (tf.reduce_mean(features, axis=1) - self._mean) / self._deviation  # (B, D)
        directions = tf.cast(self._directions, tf.float32)  # (R, D)
        residual = x - tf.matmul(tf.matmul(x, directions, transpose_b=True), directions)  # (B, D)
        distances = tf.sqrt(tf.reduce_sum(tf.square(residual), axis=1))  # (B,)
        return distances <= self._config.unfamiliar


def _searchsorted(points: Any, values: Any) -> Any:
    """Count the points (P,) that are not above each of the values (B, N) -> int32 (B, N)."""
    found = tf.searchsorted(points, tf.reshape(values, (-1,)), side="right")
    return tf.reshape(found, tf.shape(values))

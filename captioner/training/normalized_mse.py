"""The error of the regions that a pupil sees against those that its teacher sees."""

import keras
import numpy as np
import tensorflow as tf

from captioner.models.captioner import CaptionModel


class NormalizedMSE:
    """Squared errors of the regions, of their attention keys and of their mean, over the variances of the targets.

    From the regions the decoder takes its context, from the keys where to look, and from the mean how a sentence
    begins. 1 is the error of saying the same of every photo, 0 is perfect.

    Args:
        targets: float (N, L, U), a sample.
        teacher: the decoder whose keys are meant.

    Attributes:
        mean: of the targets, unit by unit (U,).
        deviation: the standard deviation that goes with it (U,).
    """

    def __init__(self, targets: np.ndarray, teacher: CaptionModel) -> None:
        flat = targets.astype(np.float32).reshape(-1, targets.shape[-1])
        self.mean, self.deviation = flat.mean(axis=0), flat.std(axis=0)  # (U,)
        self._key = tf.constant(keras.ops.convert_to_numpy(teacher.decoder.attention.key.kernel), tf.float32)
        values = targets.astype(np.float32)
        parts = (values, values @ self._key.numpy(), values.mean(axis=1))
        self._variances = tf.constant(
            [np.mean(np.square(part - part.mean(axis=tuple(range(part.ndim - 1))))) for part in parts], tf.float32
        )

    def __call__(self, regions: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Return, summed over B images, the three errors (3,) of regions (B, L, U) against targets of that shape."""
        error = tf.cast(regions, tf.float32) - tf.cast(targets, tf.float32)
        keys = tf.matmul(tf.reshape(error, (-1, error.shape[-1])), self._key)  # (B*L, A)
        of_keys = tf.reduce_sum(tf.square(keys)) / (error.shape[1] * keys.shape[-1])
        of_mean = tf.reduce_sum(tf.square(tf.reduce_mean(error, axis=1))) / error.shape[2]
        of_regions = tf.reduce_sum(tf.square(error)) / (error.shape[1] * error.shape[2])
        return tf.stack([of_regions, of_keys, of_mean]) / self._variances

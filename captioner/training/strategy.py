"""Several devices of one machine: each holds the network, and trains it on its part of every batch."""

import tensorflow as tf

from captioner.errors import UsageError


def choose_strategy(name: str) -> tf.distribute.Strategy:
    """Return how devices share the work: `mirrored` takes all GPUs, `auto` does so where there are several.

    Where there is no GPU, TensorFlow's CPU devices are mirrored; there is one of them unless somebody has cut it.

    Raises:
        UsageError: there is nothing to mirror.
    """
    gpus = tf.config.list_logical_devices("GPU")
    devices = gpus or tf.config.list_logical_devices("CPU")
    if name == "auto" and len(gpus) < 2:
        return tf.distribute.get_strategy()
    if len(devices) < 2:
        raise UsageError(
            f"--strategy {name}: expected several GPUs that TensorFlow sees, found {len(gpus)}; leave the argument out"
        )
    return tf.distribute.MirroredStrategy([device.name for device in devices])

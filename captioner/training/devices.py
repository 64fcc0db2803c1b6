"""Processor cores and GPUs: how a batch is divided among them."""

import tensorflow as tf

from captioner.errors import UsageError
from captioner.system.cores import available_cores

MIRRORED = "mirrored"
"""The strategy that takes all GPUs."""

MOST_SHARDS = 4
"""Shards at most: a graph grows with their number, and a small shard computes badly."""


def has_gpu() -> bool:
    """Return whether TensorFlow may use a GPU."""
    return bool(tf.config.get_visible_devices("GPU"))


def shard_count() -> int:
    """Return the number of shards of a batch: one with a GPU, which wants large products, else one per core."""
    return 1 if has_gpu() else min(MOST_SHARDS, available_cores())


def describe_devices() -> str:
    """Describe the devices that compute: "2 processor cores", or the GPUs."""
    gpus = tf.config.get_visible_devices("GPU")
    if not gpus:
        cores = available_cores()
        return "1 processor core" if cores == 1 else f"{cores} processor cores"
    names = [tf.config.experimental.get_device_details(each).get("device_name", "GPU") for each in gpus]
    return ", ".join(names)


def give_each_shard_its_core() -> None:
    """Set the threads of an operation to the cores of a shard; call it before TensorFlow's first operation.

    In a process in which TensorFlow has already run, nothing changes, and shards gain less.
    """
    try:
        tf.config.threading.set_intra_op_parallelism_threads(available_cores() // shard_count())
        tf.config.threading.set_inter_op_parallelism_threads(available_cores())
    except RuntimeError:  # already running
        pass


def compute_capabilities() -> list[tuple[int, int]]:
    """Return the compute capability of each GPU that may be used, such as (8, 0); (0, 0) where it is unknown."""
    details = map(tf.config.experimental.get_device_details, tf.config.get_visible_devices("GPU"))
    return [each.get("compute_capability") or (0, 0) for each in details]


def prepare_devices(strategy: str) -> None:
    """Choose the devices that TensorFlow may use, before its first operation; after that nothing changes.

    Of several GPUs the first is used, unless `mirrored` asks for all: the others are left to other processes. GPUs take
    memory as they need it, and not all at once. Where there is none, each shard gets its core.

    Args:
        strategy: see `choose_strategy`.
    """
    gpus = tf.config.list_physical_devices("GPU")
    try:
        if strategy != MIRRORED and len(gpus) > 1:
            gpus = gpus[:1]
            tf.config.set_visible_devices(gpus, "GPU")
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError:  # already running
        pass
    give_each_shard_its_core()


def choose_strategy(name: str) -> tf.distribute.Strategy:
    """Return the strategy by which devices share a batch: `mirrored` takes all GPUs, `auto` the first alone.

    Where there is no GPU, TensorFlow's CPU devices are mirrored; there is one of them unless somebody has cut it.

    Raises:
        UsageError: there is nothing to mirror.
    """
    if name != MIRRORED:
        return tf.distribute.get_strategy()
    gpus = tf.config.list_logical_devices("GPU")
    devices = gpus or tf.config.list_logical_devices("CPU")
    if len(devices) < 2:
        raise UsageError(
            f"--strategy {name}: expected several GPUs that TensorFlow sees, found {len(gpus)}; leave the argument out"
        )
    return tf.distribute.MirroredStrategy([device.name for device in devices])

"""A batch in as many parts as there are processor cores, each computed on a core of its own.

The products of a recurrence are small, and splitting each over all cores costs more waiting than it saves. Parts of a
batch do not wait for each other: TensorFlow runs their operations side by side, one thread an operation.
"""

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from captioner.cores import available_cores
from captioner.text import Vocabulary

MOST = 4
"""Parts at most: a graph grows with their number, and a small part computes badly."""


def shard_count() -> int:
    """Return the number of parts: one with an accelerator, which wants large products, else one a core, up to MOST."""
    return 1 if tf.config.list_physical_devices("GPU") else min(MOST, available_cores())


def give_each_shard_its_core() -> None:
    """Let an operation use as many threads as there are cores for each part; before TensorFlow's first operation.

    In a process in which TensorFlow has already run, nothing changes, and shards gain less.
    """
    try:
        tf.config.threading.set_intra_op_parallelism_threads(available_cores() // shard_count())
        tf.config.threading.set_inter_op_parallelism_threads(available_cores())
    except RuntimeError:  # already running
        return


def shard_bounds(batch_size: tf.Tensor | int) -> Iterator[tuple[tf.Tensor | int, tf.Tensor | int]]:
    """Yield where each part of a batch begins and ends; where there are fewer rows than parts, some are empty.

    Of several devices (`captioner.training.strategy`) each gets its own parts of the batch, the first ones first.
    """
    context, own = tf.distribute.get_replica_context(), shard_count()
    count = own * context.num_replicas_in_sync
    device = int(tf.get_static_value(context.replica_id_in_sync_group))
    for number in range(own * device, own * (device + 1)):
        yield batch_size * number // count, batch_size * (number + 1) // count


def shards(inputs: dict[str, tf.Tensor], *of_words: tf.Tensor) -> Iterator[tuple[dict[str, Any], list[tf.Tensor]]]:
    """Yield the parts of a batch of `CaptionBatches`, each with `live` for `captioner.layers.decoder.Decoder.read`.

    Args:
        inputs: `tokens` (B, K, T), `positions` (N,) and whatever else has a row an image.
        of_words: arrays (N,), a value for each position.

    Yields:
        the inputs of the part's images, and the values of its words.
    """
    tokens, positions = inputs["tokens"], inputs["positions"]
    of_an_image = tokens.shape[1] * tokens.shape[2]  # words and padding
    for begin, end in shard_bounds(tf.shape(tokens)[0]):
        first, last = tf.unstack(tf.searchsorted(positions, tf.stack([begin, end]) * of_an_image))
        own: dict[str, Any] = {name: each[begin:end] for name, each in inputs.items() if name != "positions"}
        own["positions"] = positions[first:last] - begin * of_an_image
        own["live"] = live_sentences(own["tokens"])
        yield own, [each[first:last] for each in of_words]


def live_sentences(tokens: tf.Tensor) -> tf.Tensor:
    """Count how many of the K sentences of each image have not ended at each step, in the image that has most.

    Args:
        tokens: int32 (B, K, T), the sentences of each image longest first.

    Returns:
        int32 (T,), at least 1 each.
    """
    going_on = tf.reduce_any(tokens != Vocabulary.pad, axis=0)  # (K, T)
    return tf.maximum(1, tf.reduce_sum(tf.cast(going_on, tf.int32), axis=0))

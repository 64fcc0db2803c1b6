"""A batch split into as many shards as there are processor cores, each computed on its own core.

The products of a recurrence are small, and splitting each over all cores costs more waiting than it saves. Shards of a
batch do not wait for each other: TensorFlow runs their operations side by side, one thread an operation.
"""

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from captioner.text import Vocabulary
from captioner.training.devices import shard_count

OF_WORDS = frozenset({"positions", "targets", "teacher_words", "teacher_probabilities", "advantages", "from_people"})
"""Arrays of a batch with a row for each of its N words; all others have one for each of its B images."""


def shard_bounds(batch_size: tf.Tensor | int) -> Iterator[tuple[tf.Tensor | int, tf.Tensor | int]]:
    """Yield where each shard of a batch begins and ends; where there are fewer rows than shards, some are empty.

    With several devices (`captioner.training.devices`), each gets its own shards, in order.
    """
    context, own = tf.distribute.get_replica_context(), shard_count()
    count = own * context.num_replicas_in_sync
    device = int(tf.get_static_value(context.replica_id_in_sync_group))
    for number in range(own * device, own * (device + 1)):
        yield batch_size * number // count, batch_size * (number + 1) // count


def shards(batch: dict[str, tf.Tensor]) -> Iterator[dict[str, Any]]:
    """Yield the shards of a batch of captions, each with `active` for `captioner.layers.decoder.Decoder.read`.

    Args:
        batch: `tokens` (B, K, T), `positions` (N,), and other arrays with a row for each image, or for each word
            (`OF_WORDS`).
    """
    tokens, positions = batch["tokens"], batch["positions"]
    of_an_image = tokens.shape[1] * tokens.shape[2]  # words and padding
    for begin, end in shard_bounds(tf.shape(tokens)[0]):
        first, last = tf.unstack(tf.searchsorted(positions, tf.stack([begin, end]) * of_an_image))
        own = {name: each[first:last] if name in OF_WORDS else each[begin:end] for name, each in batch.items()}
        own["positions"] -= begin * of_an_image
        yield own | {"active": active_sentences(own["tokens"])}


def active_sentences(tokens: tf.Tensor) -> tf.Tensor:
    """Count how many of the K sentences of each image have not ended at each step, in the image that has most.

    Args:
        tokens: int32 (B, K, T), the sentences of each image longest first.

    Returns:
        int32 (T,), at least 1 each.
    """
    unfinished = tf.reduce_any(tokens != Vocabulary.pad, axis=0)  # (K, T)
    return tf.maximum(1, tf.reduce_sum(tf.cast(unfinished, tf.int32), axis=0))

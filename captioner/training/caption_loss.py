"""The loss of reference captions: cross-entropy with smoothed labels, and with teachers' probabilities."""

from typing import ClassVar

import keras
import tensorflow as tf

from captioner.training.loss import SmoothedCrossEntropy
from captioner.training.shards import shards
from captioner.training.step import Batch, Objective, States

TEACHER = ("teacher_words", "teacher_probabilities")
"""What a batch brings of teachers, for each of its words: see `captioner.training.inputs.distillation`."""


class CaptionLoss(Objective):
    """Losses of a network that predicts the next words of captions (teacher forcing).

    Sums over the words: `loss`, against smoothed labels and teachers, which is lowered; and `cross_entropy`, the plain
    one, both in nats; and `words`, their number (N).

    Args:
        network: `features`, `tokens`, `positions` and `active` to logits (N, V), as `CaptionModel`.
        label_smoothing: see `SmoothedCrossEntropy`.
        distillation: share of teachers, where the batches bring what they say.
    """

    names: ClassVar[tuple[str, ...]] = ("loss", "cross_entropy", "words")

    def __init__(self, network: keras.Model, label_smoothing: float, distillation: float = 0.0) -> None:
        self.network = network
        self._smoothed = SmoothedCrossEntropy(label_smoothing, distillation, reduction=None)
        self._plain = SmoothedCrossEntropy(0.0, reduction=None)

    def sums(self, batch: Batch, states: States, training: bool) -> tuple[list[tf.Tensor], States]:
        """Return the three sums over a batch."""
        parts = []
        for own in shards(batch):
            targets, teacher = own.pop("targets"), [own.pop(name) for name in TEACHER if name in own]
            parts.append(self.of_words(targets, teacher, self.network(own, training=training)))
        return [tf.add_n(each) for each in zip(*parts, strict=True)], states

    def of_words(self, targets: tf.Tensor, teacher: list[tf.Tensor], logits: tf.Tensor) -> list[tf.Tensor]:
        """Return the three sums over words: targets (N,), logits (N, V), and of teachers (N, C) twice or nothing."""
        smoothed, plain = self._smoothed((targets, *teacher), logits), self._plain(targets, logits)
        return [tf.reduce_sum(smoothed), tf.reduce_sum(plain), tf.cast(tf.size(targets), smoothed.dtype)]

    def loss(self, sums: dict[str, tf.Tensor], batch: Batch) -> tf.Tensor:
        """Return the mean over the words of the batch, to which a device contributes the part of its words."""
        return sums["loss"] / tf.cast(tf.size(batch["targets"]), sums["loss"].dtype)


def per_word(totals: dict[str, float]) -> dict[str, float]:
    """Return the means over the words of the sums that `CaptionLoss` gives."""
    return {name: totals[name] / totals["words"] for name in ("loss", "cross_entropy")}

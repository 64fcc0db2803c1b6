"""Joint training: a compact encoder and its decoder learn the captions together, with a teacher's help."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from captioner.config.training import ImitationConfig
from captioner.models.captioner import CaptionModel
from captioner.models.photo_model import PhotoModel
from captioner.text import Vocabulary
from captioner.training.caption_loss import CaptionLoss, per_word
from captioner.training.context import Context
from captioner.training.devices import shard_count
from captioner.training.evaluator import Evaluator
from captioner.training.inputs.augment import augment
from captioner.training.inputs.batches import CaptionBatches, caption_arrays
from captioner.training.inputs.distillation import likeliest
from captioner.training.inputs.feature_extractor import photo_extractor
from captioner.training.inputs.teacher_regions import TaughtImages
from captioner.training.loop import Row
from captioner.training.normalized_mse import NormalizedMSE
from captioner.training.optimizer import make_optimizer
from captioner.training.shards import shards
from captioner.training.stages.caption_stage import CaptionStage
from captioner.training.step import Batch, States, Step


@dataclass(frozen=True)
class DistillationTargets:
    """The targets that the pupil takes from a teacher.

    Attributes:
        teacher: a decoder whose words have the numbers that the pupil's have, though there may be fewer.
        mse: the measure of what it sees.
        config: how much it counts.
    """

    teacher: CaptionModel
    mse: NormalizedMSE
    config: ImitationConfig

    def probabilities(self, own: Batch) -> list[tf.Tensor]:
        """Return the likeliest next words (N, C) and their probabilities (N, C), given the teacher's regions."""
        decoder, known, tokens = self.teacher.decoder, self.teacher.config.vocabulary_size, own["tokens"]
        tokens = tf.where(tokens < known, tokens, Vocabulary.unknown)  # words that the teacher has never heard
        memory = decoder.make_memory(tf.cast(own["teacher_regions"], decoder.compute_dtype))
        logits = decoder.predict(memory, tokens, own["positions"], active=own["active"])
        return [tf.stop_gradient(each) for each in likeliest(tf.nn.softmax(logits))]


class JointLoss(CaptionLoss):
    """The loss of the captions, of which the teacher has a share, and the error of the regions.

    Args:
        network: what is trained.
        label_smoothing: see `SmoothedCrossEntropy`.
        targets: the teacher, if there is one.
    """

    names: ClassVar[tuple[str, ...]] = (*CaptionLoss.names, "error")

    def __init__(self, network: PhotoModel, label_smoothing: float, targets: DistillationTargets | None) -> None:
        super().__init__(network, label_smoothing, targets.config.distillation if targets else 0.0)
        self._targets = targets

    def sums(self, batch: Batch, states: States, training: bool) -> tuple[list[tf.Tensor], States]:
        """Return the sums over a batch of augmented images."""
        parts = []
        for own in shards(batch):
            images = augment(own["images"], own["transforms"], own["colours"])
            regions = self.network.regions(images, training=training)  # (B, L, U)
            logits = self.network.predict_words(
                regions, own["tokens"], own["positions"], training=training, active=own["active"]
            )  # (N, V)
            teacher: list[Any] = []
            error = tf.zeros([])
            if self._targets:
                teacher = self._targets.probabilities(own)
                error = tf.reduce_sum(self._targets.mse(regions, own["teacher_regions"]))
            parts.append([*self.of_words(own["targets"], teacher, logits), error])
        return [tf.add_n(each) for each in zip(*parts, strict=True)], states

    def loss(self, sums: dict[str, tf.Tensor], batch: Batch) -> tf.Tensor:
        """Return the loss of a word, and the weighted error of an image."""
        loss = super().loss(sums, batch)
        if self._targets:
            images = tf.cast(tf.shape(batch["tokens"])[0], loss.dtype)
            loss += self._targets.config.imitation_weight * sums["error"] / images
        return loss


class Joint(CaptionStage):
    """Training of encoder and decoder on captions.

    Args:
        context: what all stages share, with pixels as features.
        network: what is trained.
        images: the training photos, and what the teacher sees of them.
        captions_per_photo: captions of a photo that a batch brings.
        targets: the teacher, if there is one.
    """

    def __init__(
        self,
        context: Context,
        network: PhotoModel,
        images: TaughtImages,
        captions_per_photo: int,
        targets: DistillationTargets | None,
    ) -> None:
        super().__init__(context)
        training, train = context.training, context.train
        self.network, self.images = network, images
        self.batches = CaptionBatches(
            train.tokens, training.batch_size, captions_per_photo, rows=train.rows, min_images=shard_count()
        )  # no shard without a photo: batch normalisation knows no mean of none
        self.variables = network.trainable_variables
        self.optimizer = make_optimizer(self.variables, training, self.epochs * len(self))
        loss = JointLoss(network, training.label_smoothing, targets)
        self.step = Step(loss, self.optimizer, self.variables, context.profile)
        self.scored = network.in_float32()
        extract = photo_extractor(self.scored.encoder)
        self.evaluator = Evaluator(context, self.scored.captioner, lambda: extract(context.dev))

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return len(self.batches)

    def train_epoch(self, epoch: int, on_batch: Callable[[float], None]) -> Row:
        """Train on all photos, each in one of its views; return the mean losses of a word, in nats."""
        seed = self.context.training.seed
        self.network.captioner.reseed(seed, epoch)
        batches = self.batches.shuffled(seed, epoch, partial(self._augmented, epoch))
        return per_word(self.step.over(batches, lambda totals: on_batch(totals["loss"] / totals["words"])))

    def _augmented(self, epoch: int, number: int, batch: Batch) -> Batch:
        rng = np.random.default_rng([self.context.training.seed, epoch, number])
        return {**self.images.batch(batch["rows"], rng), **caption_arrays(batch)}

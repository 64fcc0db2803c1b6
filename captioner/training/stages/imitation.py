"""Imitation: a compact encoder learns to give its decoder the regions that a teacher sees."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import tensorflow as tf

from captioner.config.training import ImitationConfig, TrainingConfig
from captioner.models.photo_model import PhotoModel
from captioner.system.prefetch import prefetch_map
from captioner.training.devices import shard_count
from captioner.training.inputs.augment import augment
from captioner.training.inputs.feature_extractor import scale_pixels
from captioner.training.inputs.teacher_regions import TaughtImages
from captioner.training.loop import Row, Stage
from captioner.training.normalized_mse import NormalizedMSE
from captioner.training.optimizer import make_optimizer
from captioner.training.shards import shard_bounds
from captioner.training.step import Batch, Objective, States, Step

DEV_BATCH_SIZE = 100


class RegionLoss(Objective):
    """The errors of the regions that a network sees, and their number of images.

    Args:
        network: what sees them.
        mse: the measure.
    """

    names: ClassVar[tuple[str, ...]] = ("regions", "keys", "mean", "images")

    def __init__(self, network: PhotoModel, mse: NormalizedMSE) -> None:
        self._network, self._mse = network, mse

    def sums(self, batch: Batch, states: States, training: bool) -> tuple[list[tf.Tensor], States]:
        """Return the sums over `images` uint8 (B, S, S, 3), augmented in training, with `teacher_regions` (B, L, U)."""
        count = tf.shape(batch["images"])[0]
        errors = []
        for begin, end in shard_bounds(count):
            own = {name: each[begin:end] for name, each in batch.items()}
            targets = own.pop("teacher_regions")
            images = augment(**own) if training else scale_pixels(own["images"])
            errors.append(self._mse(self._network.regions(images, training=training), targets))
        return [*tf.unstack(tf.add_n(errors)), tf.cast(count, tf.float32)], states

    def loss(self, sums: dict[str, tf.Tensor], batch: Batch) -> tf.Tensor:
        """Return the sum of the three errors of an image."""
        return (sums["regions"] + sums["keys"] + sums["mean"]) / sums["images"]


@dataclass(frozen=True)
class ImitationData:
    """The training and dev data of an imitation, and its measure.

    Attributes:
        train: the training photos and the teacher's regions.
        rows: which of them to use (M,).
        dev: `images` uint8 (M, S, S, 3) of the dev photos, and their `teacher_regions` float16 (M, L, U).
        mse: the measure.
    """

    train: TaughtImages
    rows: np.ndarray
    dev: Batch
    mse: NormalizedMSE


class Imitation(Stage):
    """Training of the encoder, and of the decoder's projection of it, on the regions of a teacher.

    Args:
        network: its encoder, `place` and `place_norm` are trained.
        data: photos and the teacher's regions.
        training: the settings that are not specific to the stage.
        config: epochs and rate.
    """

    title = "imitation epoch"
    monitor = "regions"
    rate_option = "--imitation-rate"

    def __init__(
        self, network: PhotoModel, data: ImitationData, training: TrainingConfig, config: ImitationConfig
    ) -> None:
        self.epochs = self.patience = config.imitation_epochs
        self.network, self.data, self.training = network, data, training
        decoder = network.captioner.decoder
        self.variables = [
            *network.encoder.trainable_variables,
            *decoder.place.trainable_variables,
            *decoder.place_norm.trainable_variables,
        ]
        own = replace(training, learning_rate=config.imitation_rate)
        self.optimizer = make_optimizer(self.variables, own, self.epochs * len(self))
        self.step = Step(RegionLoss(network, data.mse), self.optimizer, self.variables)
        self.scored = network.in_float32()
        self.measure = Step(RegionLoss(self.scored, data.mse))

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return -(-len(self.data.rows) // self.training.batch_size)

    def train_epoch(self, epoch: int, on_batch: Callable[[float], None]) -> Row:
        """Train on all photos, each in one of its views; return the mean errors."""
        batches = self._batches([self.training.seed, epoch])
        return per_image(self.step.over(batches, lambda totals: on_batch(totals["regions"] / totals["images"])))

    def _batches(self, seeds: list[int]) -> Iterator[Batch]:
        order, size = np.random.default_rng(seeds).permutation(self.data.rows), self.training.batch_size

        def make(numbered: tuple[int, np.ndarray]) -> Batch:
            number, rows = numbered
            rows = np.resize(rows, max(len(rows), shard_count()))  # batch normalisation knows no mean of no photo
            return self.data.train.batch(rows, np.random.default_rng([*seeds, number]))

        return prefetch_map(make, enumerate(order[at : at + size] for at in range(0, len(order), size)))

    def evaluate(self) -> tuple[Row, list[str]]:
        """Return the mean errors on dev; there is nothing to read."""
        dev, count = self.data.dev, len(self.data.dev["images"])
        parts = (slice(at, at + DEV_BATCH_SIZE) for at in range(0, count, DEV_BATCH_SIZE))
        batches = ({name: each[part] for name, each in dev.items()} for part in parts)
        return {f"dev_{name}": value for name, value in per_image(self.measure.over(batches)).items()}, []

    def quality(self, row: Row) -> tuple[float, ...]:
        """Compare by the sum of the errors on dev."""
        return (-(row["dev_regions"] + row["dev_keys"] + row["dev_mean"]),)

    def summary(self, row: Row) -> str:
        """Describe an epoch by the shares of the variances that are explained."""
        trained = f"{1 - row['regions']:.1%} of the regions explained, " if row["epoch"] else "regions explained "
        return (
            f"{trained}on dev {1 - row['dev_regions']:.1%}; "
            f"keys {1 - row['dev_keys']:.1%}, mean {1 - row['dev_mean']:.1%}"
        )


def per_image(totals: dict[str, float]) -> Row:
    """Return the means over the images of the sums that `RegionLoss` gives."""
    return {name: totals[name] / totals["images"] for name in ("regions", "keys", "mean")}

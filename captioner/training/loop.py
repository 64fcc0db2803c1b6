"""The epoch loop of every training: train, evaluate, keep the best weights, write a checkpoint."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import keras
import numpy as np

from captioner.errors import CaptionerError
from captioner.progress import progress_bar
from captioner.training.checkpoint import Checkpoint, Progress
from captioner.training.optimizer import averaged_weights
from captioner.training.profile import Profile

Row = dict[str, float]
"""The figures of an epoch, a row of `history.csv`."""

log = logging.getLogger(__name__)


class Stage(ABC):
    """A part of a training with a loss, an optimiser and epochs of its own.

    Attributes:
        title: what an epoch is called in messages.
        monitor: the figure of `train_epoch` that the progress bar shows.
        rate_option: the option to lower when the stage diverges.
        epochs: how many to run at most.
        patience: epochs without a better one after which the stage ends.
        network: what is trained.
        variables: those of its variables that the optimiser updates.
        optimizer: built for `variables`.
        scored: a float32 copy of `network`, which is given the averaged weights before `evaluate`.
    """

    title: ClassVar[str] = "epoch"
    monitor: ClassVar[str] = "loss"
    rate_option: ClassVar[str] = "--learning-rate"
    epochs: int
    patience: int
    network: keras.Model
    variables: list[keras.Variable]
    optimizer: keras.optimizers.Optimizer
    scored: keras.Model

    @abstractmethod
    def __len__(self) -> int:
        """Count the batches of an epoch."""

    @abstractmethod
    def train_epoch(self, epoch: int, on_batch: Callable[[float], None]) -> Row:
        """Train for one epoch, which depends on the seed and `epoch` alone, and return its figures.

        `on_batch` takes the monitored figure so far after each batch.
        """

    @abstractmethod
    def evaluate(self) -> tuple[Row, list[str]]:
        """Return the figures of `scored` on held-out data, and samples of its output for people to read."""

    @abstractmethod
    def quality(self, row: Row) -> tuple[float, ...]:
        """Return what epochs are compared by: the greatest is the best."""

    @abstractmethod
    def summary(self, row: Row) -> str:
        """Describe an epoch's figures in part of a line."""


def run_stage(stage: Stage, checkpoint: Checkpoint, profile: Profile) -> Progress:
    """Run a stage to its end and leave `stage.network` with the weights of the best epoch.

    Every epoch depends on the seed and its number alone, and ends with a checkpoint. So a stage that was killed and
    resumed ends with the weights of one that was not.

    Returns:
        the figures of all epochs and the number of the best.

    Raises:
        CaptionerError: the stage diverged, or the checkpoint is damaged.
    """
    stage.network.compile(stage.optimizer)  # so that checkpoints hold the optimiser's state
    progress = checkpoint.resume(stage.network)
    if progress.epoch:
        log.info("resuming after %s %d of %d", stage.title, progress.epoch, stage.epochs)
    while progress.epoch < stage.epochs and progress.epoch - progress.best_epoch < stage.patience:
        with profile.epoch():
            row, samples = _run_epoch(stage, progress.epoch + 1)
            improved = not progress.best_epoch or stage.quality(row) > stage.quality(progress.best)
            progress = progress.followed_by_epoch(row, improved)
            with profile.phase("save a checkpoint"):
                checkpoint.save(stage.network, stage.scored if improved else None, progress)
        head = f"{stage.title} {row['epoch']}/{stage.epochs} {row['seconds']:.0f} s"
        log.info("%s: %s%s", head, stage.summary(row), " (best)" if improved else "")
        for sample in samples:
            log.info("    %s", sample)
    if progress.epoch:
        checkpoint.load_best(stage.scored, progress)
        stage.network.set_weights(stage.scored.get_weights())
    return progress


def _run_epoch(stage: Stage, epoch: int) -> tuple[Row, list[str]]:
    """Train and evaluate for one epoch; return its row and the samples."""
    began = time.monotonic()
    title = f"{stage.title} {epoch}/{stage.epochs}"
    with progress_bar(total=len(stage), desc=title, unit="batch", leave=False) as bar:

        def on_batch(value: float) -> None:
            bar.set_postfix({stage.monitor: f"{value:.3f}"}, refresh=False)
            bar.update()

        figures = stage.train_epoch(epoch, on_batch)
    stage.scored.set_weights(averaged_weights(stage.network, stage.optimizer, stage.variables))
    held_out, samples = stage.evaluate()
    figures = figures | held_out
    unusable = [f"{name} is {value}" for name, value in figures.items() if not np.isfinite(value)]
    if unusable:
        raise CaptionerError(f"training diverged in {title}: {', '.join(unusable)}; lower {stage.rate_option}")
    rate = float(keras.ops.convert_to_numpy(stage.optimizer.learning_rate))
    return {"epoch": epoch, "seconds": round(time.monotonic() - began, 1), "learning_rate": rate, **figures}, samples

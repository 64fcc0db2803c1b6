"""The epoch loop of every training: train, evaluate, keep the best weights, write a checkpoint."""

import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import keras
import numpy as np

from captioner.errors import CaptionerError
from captioner.system.progress import progress_bar
from captioner.training.checkpoint import Checkpoint, Progress
from captioner.training.devices import describe_devices
from captioner.training.optimizer import averaged_weights
from captioner.training.profile import Profile

Row = dict[str, float]
"""The figures of an epoch, a row of `history.csv`."""

log = logging.getLogger(__name__)


class Stage(ABC):
    """A part of a training with its own loss, optimiser and epochs.

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
        """Return the key by which epochs are compared: the greatest is the best."""

    @abstractmethod
    def summary(self, row: Row) -> str:
        """Describe an epoch's figures in part of a line; epoch 0 has those of `evaluate` alone."""


def run_stage(
    stage: Stage,
    checkpoint: Checkpoint,
    profile: Profile,
    baseline: bool = False,
    on_epoch: Callable[[Progress, bool], None] = lambda progress, improved: None,
) -> Progress:
    """Run a stage to its end and leave `stage.network` with the weights of the best epoch.

    Every epoch depends on the seed and its number alone, and ends with a checkpoint. So a stage that was killed and
    resumed ends with the weights of one that was not.

    Args:
        stage: what to run.
        checkpoint: where its state is kept.
        profile: takes the time.
        baseline: whether the network is trained already. Then it is scored first, as epoch 0, and its weights stay if
            no epoch is better.
        on_epoch: takes the progress after each epoch, and whether it is the best so far; then `stage.scored` has its
            weights.

    Returns:
        the figures of all epochs and the number of the best.

    Raises:
        CaptionerError: the stage diverged, or the checkpoint is damaged.
    """
    stage.network.compile(stage.optimizer)  # so that checkpoints hold the optimiser's state
    progress = checkpoint.resume(stage.network)
    if progress.epoch:
        log.info("resuming after %s %d of %d", stage.title, progress.epoch, stage.epochs)
    number = progress.epoch + 1 if progress.history or not baseline else 0
    if number <= stage.epochs:
        _log_outline(stage)
    while number <= stage.epochs and progress.epoch - progress.best_epoch < stage.patience:
        with profile.epoch():
            row, samples = _run_epoch(stage, number)
            improved = not progress.history or stage.quality(row) > stage.quality(progress.best)
            progress = progress.followed_by_epoch(row, improved)
            with profile.phase("save the model"):
                on_epoch(progress, improved)
            with profile.phase("save a checkpoint"):
                checkpoint.save(stage.network, stage.scored if improved else None, progress)
        head = f"{stage.title} {number}/{stage.epochs} {row['seconds']:.0f} s"
        log.info("%s: %s%s", head, stage.summary(row), _remark(number, improved))
        for sample in samples:
            log.info("    %s", sample)
        number += 1
    if progress.history:
        checkpoint.load_best(stage.scored, progress)
        stage.network.set_weights(stage.scored.get_weights())
    if progress.epoch and not progress.best_epoch:
        log.info("no %s improved on the model that this training started from, so its weights are kept", stage.title)
    return progress


def _log_outline(stage: Stage) -> None:
    """Log what is trained, on what, and why it takes a while to begin."""
    parameters = sum(math.prod(variable.shape) for variable in stage.variables)
    log.info(
        "training %s parameters in %s on %s, %d steps an epoch; the first epoch takes longer, since TensorFlow "
        "compiles each step that it meets for the first time",
        *(f"{parameters:,}", stage.network.dtype_policy.name, describe_devices(), len(stage)),
    )


def _remark(number: int, improved: bool) -> str:
    if not number:
        return " (the model that this training starts from)"
    return " (best)" if improved else ""


def _run_epoch(stage: Stage, epoch: int) -> tuple[Row, list[str]]:
    """Train and evaluate for one epoch, or for epoch 0 evaluate alone; return its row and the samples."""
    began = time.monotonic()
    title = f"{stage.title} {epoch}/{stage.epochs}"
    if epoch:
        figures = _train_epoch(stage, epoch, title)
        rate = float(keras.ops.convert_to_numpy(stage.optimizer.learning_rate))
        stage.scored.set_weights(averaged_weights(stage.network, stage.optimizer, stage.variables))
    else:
        figures, rate = {}, 0.0
        stage.scored.set_weights(stage.network.get_weights())
    held_out, samples = stage.evaluate()
    figures = figures | held_out
    unusable = [f"{name} is {value}" for name, value in figures.items() if not np.isfinite(value)]
    if unusable:
        raise CaptionerError(f"training diverged in {title}: {', '.join(unusable)}; lower {stage.rate_option}")
    return {"epoch": epoch, "seconds": round(time.monotonic() - began, 1), "learning_rate": rate, **figures}, samples


def _train_epoch(stage: Stage, epoch: int, title: str) -> Row:
    """Train for one epoch behind a progress bar, and return its figures."""
    with progress_bar(total=len(stage), desc=title, unit="batch", leave=False) as bar:

        def on_batch(value: float) -> None:
            bar.set_postfix({stage.monitor: f"{value:.3f}"}, refresh=False)
            bar.update()

        return stage.train_epoch(epoch, on_batch)

"""A training from its settings to a model directory, resumed where it was interrupted."""

import logging
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import tensorflow as tf

from captioner.errors import CaptionerError, UsageError
from captioner.system.atomic import sweep
from captioner.system.files import read_json, write_json
from captioner.training.artifacts import write_draft_card
from captioner.training.checkpoint import Checkpoint, Progress, refuse_changes, schedule_changes
from captioner.training.loop import Row, Stage, run_stage
from captioner.training.profile import Profile

METRICS = "metrics.json"

NOT_FIGURES = ("epoch", "stage", "learning_rate")
"""What a row of `history.csv` has besides the figures of its epoch."""

LESS = "lower --batch-size, --views or --max-length, choose smaller sizes, or close other programs"
"""What to do where memory does not suffice."""

_OF_A_MODEL = ("config.json", "vocabulary.json")
"""What every model directory has."""

_REPLACED = ("README.md", "history.csv", "training.png", *_OF_A_MODEL)
"""Names of files that a training writes, and that somebody else's directory may have."""

log = logging.getLogger(__name__)


class Callback(Protocol):
    """A listener that follows the epochs of a training."""

    def on_epoch_end(self, row: Row) -> None:
        """Take the figures of an epoch, as `history.csv` has them; the best model so far is in the directory."""


class Training(ABC):
    """A training of one kind of model: its stages, and what is made of the trained network.

    Attributes:
        earlier_stages: names of the stages before the main one; their checkpoints lie inside that of the main one.
        later_stages: names of the stages after it; theirs do too.
        output: the model directory to write.
        starts_trained: whether the networks are those of a model that was trained before.
    """

    earlier_stages: ClassVar[tuple[str, ...]] = ()
    later_stages: ClassVar[tuple[str, ...]] = ()
    output: Path
    starts_trained: bool = False

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return the settings that decide the outcome in one dictionary, by the names that users know."""

    @abstractmethod
    def check(self) -> None:
        """Raise CaptionerError for input that can be seen to be wrong before the work."""

    @abstractmethod
    def stages(self, run: "TrainingRun") -> Iterator[tuple[str, Stage]]:
        """Yield each stage with its name, "" for the main one; the next is made after the one before it was run."""

    @abstractmethod
    def progress(self, histories: Mapping[str, Progress]) -> Progress:
        """Return the epochs of a model so far, given those of each stage."""

    @abstractmethod
    def save_draft(self, stage: Stage) -> None:
        """Write the model with the weights that `stage.scored` has, the best so far."""

    @abstractmethod
    def write_epochs(self, progress: Progress) -> None:
        """Write table and curve of the epochs."""

    @abstractmethod
    def finish(self, run: "TrainingRun") -> dict[str, Any]:
        """Score the trained model, write its directory, and return the metrics."""


def check_output(output: Path, resume: bool) -> None:
    """Refuse a directory with files that a training would replace, and that no training wrote.

    Where it is to resume, it names `metrics.json` itself.

    Raises:
        UsageError: it has one.
    """
    if (output / "checkpoint").is_dir() or all((output / name).is_file() for name in _OF_A_MODEL):
        return
    for name in _REPLACED if resume else (METRICS, *_REPLACED):
        if os.path.lexists(output / name):
            raise UsageError(
                f"--output {output}: {name} is there, no training wrote it, and it would be replaced; name another "
                "directory"
            )


class TrainingRun:
    """A directory in which a training takes place.

    From the first epoch on it holds the best model so far. `metrics.json` says `finished: false` until the last file is
    written.

    Args:
        training: what is trained.
        resume: whether to continue what lies in the directory; otherwise it is started over.
        profile: takes the time.
        callbacks: called after each epoch.

    Attributes:
        checkpoint: of the main stage.
        metrics: those of a finished run; None before.
        histories: the progress of each stage that was run, by its name.

    Raises:
        UsageError: the run was started with other settings, which the message names; or see `check_output`.
        CaptionerError: its files are damaged, or the directory cannot be written to.
    """

    def __init__(
        self, training: Training, *, resume: bool, profile: Profile, callbacks: Sequence[Callback] = ()
    ) -> None:
        check_output(training.output, resume)
        self.training, self.output, self.profile, self.callbacks = training, training.output, profile, callbacks
        self.histories: dict[str, Progress] = {}
        self.metrics: dict[str, Any] | None = None
        self._began = time.monotonic()
        self._settings = training.settings()
        self.checkpoint = Checkpoint(self.output / "checkpoint", self._settings)
        sweep(self.output)
        if resume:
            self.metrics = self._finished()
            if self.metrics is not None:
                return
            self._check_changes()  # before the work, not after the features
        training.check()  # before anything is written or removed
        if not resume:
            self.checkpoint.remove()
            (self.output / METRICS).unlink(missing_ok=True)
        self.checkpoint.directory.mkdir(parents=True, exist_ok=True)  # fails now where it cannot be written to

    def _finished(self) -> dict[str, Any] | None:
        """Return the metrics of a finished run; None where there is something to train."""
        path = self.output / METRICS
        if not path.is_file():
            return None
        metrics = read_json(path, "metrics of the finished run")
        if not isinstance(metrics, dict) or not isinstance(metrics.get("settings"), dict):
            raise CaptionerError(f"{path} does not say what was trained; start over with --no-resume")
        if metrics.get("finished") is False:
            return None
        refuse_changes(metrics["settings"], self._settings, self.output)
        changes = schedule_changes(metrics["settings"], self._settings)
        if not changes:
            log.info("%s is finished; nothing to train (--no-resume trains it again)", self.output)
            return metrics
        if not self.checkpoint.progress().history:
            raise UsageError(
                f"{self.output} is finished, and {changes}, but its checkpoint is gone, so it cannot go on; "
                f"start from it with --init-from {self.output} and another --output"
            )
        return None

    def _check_changes(self) -> None:
        """Refuse other settings, except for a schedule that may still change; log how that has changed."""
        self.checkpoint.progress()
        for name in (*self.training.earlier_stages, *self.training.later_stages):
            self.checkpoint.stage(name)
        begun = [name for name in self.training.later_stages if self.checkpoint.stage(name).progress().history]
        changes = schedule_changes(self.checkpoint.saved_settings(), self._settings)
        if changes and begun:
            raise UsageError(
                f"{self.output}: {changes}, but {begun[0]} has already started from the weights of the epochs before "
                "it; give the settings that the run was started with, another --output, or --no-resume to start over"
            )
        if changes:
            log.info(
                "%s: the learning rate follows the new schedule from here on, so the weights will differ from those of "
                "a run that was started with it",
                changes,
            )

    def add_settings(self, **more: Any) -> None:
        """Record settings that become known during the run, such as the checksum of weights."""
        self.checkpoint = self.checkpoint.with_settings(**more)

    def run(self, name: str, stage: Stage) -> None:
        """Run a stage from its checkpoint on, and keep its history and the best model so far."""
        checkpoint = self.checkpoint.stage(name) if name else self.checkpoint

        def on_epoch(progress: Progress, improved: bool) -> None:
            self.histories[name] = progress
            self._write_draft(stage, improved)
            for callback in self.callbacks:
                callback.on_epoch_end(dict(progress.history[-1]))

        self.histories[name] = run_stage(stage, checkpoint, self.profile, self.training.starts_trained, on_epoch)

    def _write_draft(self, stage: Stage, improved: bool) -> None:
        """Write what the epochs so far have given: the model where it has become better, and how it came about."""
        progress = self.training.progress(self.histories)
        if not progress.history:
            return
        if improved:
            self.training.save_draft(stage)
        self.training.write_epochs(progress)
        figures = {name: value for name, value in progress.best.items() if name not in NOT_FIGURES}
        metrics = {
            "finished": False,
            **figures,
            "best_epoch": progress.best_epoch,
            "epochs": progress.epoch,
            "training_seconds": round(progress.seconds),
            "settings": self.training.settings(),
        }
        write_draft_card(self.output, metrics)
        write_json(self.output / METRICS, metrics)

    def finish(self, metrics: dict[str, Any]) -> None:
        """Write the metrics, which say that the run is finished. The checkpoint stays, for more epochs."""
        self.metrics = metrics
        write_json(self.output / METRICS, metrics)
        log.info("%s is finished after %.0f minutes", self.output, (time.monotonic() - self._began) / 60)


def train(
    training: Training, *, resume: bool = True, profile: Profile | None = None, callbacks: Sequence[Callback] = ()
) -> dict[str, Any]:
    """Train a model and write its directory; resume a run that was interrupted.

    Args:
        training: what to train.
        resume: whether to continue what lies in the output directory; otherwise it is started over.
        profile: takes the time of each epoch.
        callbacks: called after each epoch.

    Returns:
        the metrics, as written to metrics.json.

    Raises:
        UsageError: the output directory holds a run with other settings.
        CaptionerError: no usable data or weights, no room in memory or on the disk, or the training diverged.
    """
    run = TrainingRun(training, resume=resume, profile=profile or Profile(), callbacks=callbacks)
    if run.metrics is None:
        try:
            with run.checkpoint.in_use():
                for name, stage in training.stages(run):
                    run.run(name, stage)
                run.finish(training.finish(run))
        except (MemoryError, tf.errors.ResourceExhaustedError) as error:
            raise CaptionerError(f"{training.output}: there is not enough memory for this training; {LESS}") from error
    assert run.metrics is not None
    return run.metrics

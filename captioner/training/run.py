"""A training from its settings to a model directory, resumed where it was interrupted."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from captioner.errors import CaptionerError
from captioner.files import read_json, sweep, write_json
from captioner.training.checkpoint import Checkpoint, Progress, refuse_changes
from captioner.training.loop import Stage, run_stage
from captioner.training.profile import Profile

METRICS = "metrics.json"

log = logging.getLogger(__name__)


class Training(ABC):
    """A training of one kind of model: its stages, and what is made of the trained network.

    Attributes:
        later_stages: names of the stages whose checkpoints lie inside that of the main stage.
        output: the model directory to write.
    """

    later_stages: ClassVar[tuple[str, ...]] = ()
    output: Path

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return what decides the outcome, flat, by the names that users know."""

    @abstractmethod
    def check(self) -> None:
        """Raise CaptionerError for input that can be seen to be wrong before the work."""

    @abstractmethod
    def stages(self, run: "TrainingRun") -> Iterator[tuple[str, Stage]]:
        """Yield each stage with its name, "" for the main one; the next is made after the one before it was run."""

    @abstractmethod
    def finish(self, run: "TrainingRun") -> dict[str, Any]:
        """Score the trained model, write its directory, and return the metrics."""


class TrainingRun:
    """A directory in which a training takes place.

    `metrics.json` is the last file that a run writes, so where it is the run is finished.

    Args:
        training: what is trained.
        resume: whether to continue what lies in the directory; otherwise it is started over.
        profile: takes the time.

    Attributes:
        checkpoint: of the main stage.
        metrics: those of a finished run; None before.
        histories: the progress of each stage that was run, by its name.

    Raises:
        UsageError: the run was started with other settings; the message names them.
        CaptionerError: its files are damaged, or the directory cannot be written to.
    """

    def __init__(self, training: Training, *, resume: bool, profile: Profile) -> None:
        self.output, self.profile = training.output, profile
        self.histories: dict[str, Progress] = {}
        self.metrics: dict[str, Any] | None = None
        self._began = time.monotonic()
        settings = training.settings()
        self.checkpoint = Checkpoint(self.output / "checkpoint", settings)
        sweep(self.output)
        if resume:
            if (self.output / METRICS).is_file():
                self.metrics = self._finished(settings)
                return
            self.checkpoint.progress()  # other settings are refused before the work, not after the features
            for name in training.later_stages:
                self.checkpoint.stage(name)
        training.check()  # before anything is written or removed
        if not resume:
            self.checkpoint.remove()
            (self.output / METRICS).unlink(missing_ok=True)
        self.checkpoint.directory.mkdir(parents=True, exist_ok=True)  # fails now where it cannot be written to

    def _finished(self, settings: dict[str, Any]) -> dict[str, Any]:
        metrics = read_json(self.output / METRICS, "metrics of the finished run")
        if not isinstance(metrics, dict) or not isinstance(metrics.get("settings"), dict):
            raise CaptionerError(f"{self.output / METRICS} does not tell what was trained; start over with --no-resume")
        refuse_changes(metrics["settings"], settings, self.output)
        self.checkpoint.remove()  # a kill after the last file was written leaves it there
        log.info("%s is finished; nothing to train (--no-resume trains it again)", self.output)
        return metrics

    def add_settings(self, **more: Any) -> None:
        """Note settings that become known while the run goes on, such as the checksum of weights."""
        self.checkpoint = self.checkpoint.with_settings(**more)

    def run(self, name: str, stage: Stage) -> None:
        """Run a stage from its checkpoint on, and keep its history."""
        checkpoint = self.checkpoint.stage(name) if name else self.checkpoint
        self.histories[name] = run_stage(stage, checkpoint, self.profile)

    def finish(self, metrics: dict[str, Any]) -> None:
        """Write the metrics, which say that the run is finished, and remove the checkpoint."""
        self.metrics = metrics
        write_json(self.output / METRICS, metrics)
        self.checkpoint.remove()
        log.info("%s is finished after %.0f minutes", self.output, (time.monotonic() - self._began) / 60)


def train(training: Training, *, resume: bool = True, profile: Profile | None = None) -> dict[str, Any]:
    """Train a model and write its directory; resume a run that was interrupted.

    Args:
        training: what to train.
        resume: whether to continue what lies in the output directory; otherwise it is started over.
        profile: takes the time of each epoch.

    Returns:
        the metrics, as written to metrics.json.

    Raises:
        UsageError: the output directory holds a run with other settings.
        CaptionerError: no usable data or weights, no room on the disk, or the training diverged.
    """
    run = TrainingRun(training, resume=resume, profile=profile or Profile())
    if run.metrics is None:
        for name, stage in training.stages(run):
            run.run(name, stage)
        run.finish(training.finish(run))
    assert run.metrics is not None
    return run.metrics

"""The state of a training on disk after each epoch, so that the same command resumes after an interruption."""

import logging
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import keras

from captioner.config.recipe import earlier_settings, unmet_need
from captioner.config.serialization import digest
from captioner.errors import CaptionerError, UsageError
from captioner.system.atomic import atomic_write
from captioner.system.checksums import checksum_file
from captioner.system.files import read_json, write_json

SCHEDULE = ("epochs", "patience")
"""Settings that may change when a run is resumed."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """The progress of a stage.

    Attributes:
        epoch: epochs done.
        best_epoch: the one whose weights are the best so far; 0 before the first, and where none was better than the
            weights that the training started from.
        history: a row of figures for each epoch; before them, where a trained model was started from, the row of
            epoch 0, which has its scores.
    """

    epoch: int = 0
    best_epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def best(self) -> dict[str, Any]:
        """The figures of the best epoch."""
        return next(row for row in self.history if row["epoch"] == self.best_epoch)

    @property
    def seconds(self) -> float:
        """The time of all epochs."""
        return sum(row["seconds"] for row in self.history)

    def in_stage(self, name: str) -> "Progress":
        """Return this progress with the name of the stage in each row, as `history.csv` has it."""
        return Progress(self.epoch, self.best_epoch, [{**row, "stage": name} for row in self.history])

    def followed_by_epoch(self, row: dict[str, float], improved: bool) -> "Progress":
        """Return the progress after one more epoch, which is the best if it `improved`."""
        epoch = int(row["epoch"])
        return Progress(epoch, epoch if improved else self.best_epoch, [*self.history, row])

    def followed_by(self, stage: "Progress") -> "Progress":
        """Return this progress and a later stage's as one, epochs counted on; the best is the later stage's, if any.

        The weights that the later stage started from are those of the best epoch here, so it has no epoch 0.
        """
        later = [{**row, "epoch": row["epoch"] + self.epoch} for row in stage.history if row["epoch"] or not self.epoch]
        best_epoch = self.epoch + stage.best_epoch if stage.best_epoch else self.best_epoch
        return Progress(self.epoch + stage.epoch, best_epoch, [*self.history, *later])


class Checkpoint:
    """A directory with the weights and optimiser after the last epoch, the best weights, and `progress.json`.

    Weights are written under a new name first and `progress.json`, which names them, is replaced last: a kill between
    any two writes leaves the state before whole. It has their checksums and its own: HDF5 does not notice a flipped
    bit, and a training that continues from one ends differently.

    Args:
        directory: made when the first epoch is saved.
        settings: everything that decides what the training does; a run that started with others is not continued.
        run: the directory that messages name; where `directory` lies, unless it is given.
    """

    def __init__(self, directory: Path, settings: dict[str, Any], run: Path | None = None) -> None:
        self.directory = directory
        self.settings = dict(settings)
        self._run = run or directory.parent
        self._state = directory / "progress.json"
        self._running = directory / "running"
        self._checksums: dict[str, str] = {}

    def stage(self, name: str) -> "Checkpoint":
        """Return the checkpoint of another stage of the run, which lies inside this one and has its settings.

        Raises:
            UsageError: the stage was begun with other settings, so that this is said before the work.
            CaptionerError: it is damaged.
        """
        own = Checkpoint(self.directory / name, self.settings, self._run)
        own.progress()
        return own

    def with_settings(self, **more: Any) -> "Checkpoint":
        """Return this checkpoint with settings that were not known when it was opened, such as a weights' checksum."""
        return Checkpoint(self.directory, self.settings | more, self._run)

    def resume(self, network: keras.Model) -> Progress:
        """Load the last state into the compiled `network`, whose optimiser is built; without one, start afresh.

        Raises:
            UsageError: the run was started with other settings; the message names them.
            CaptionerError: the checkpoint is damaged.
        """
        progress = self.progress()
        if progress.epoch or progress.history:
            self._load(network, "last", progress.epoch)
        return progress

    def progress(self) -> Progress:
        """Read the progress of the run, without its weights.

        Raises:
            UsageError: the run was started with other settings; the message names them.
            CaptionerError: the checkpoint is damaged.
        """
        settings, progress = self._read()
        if not settings:
            return progress
        # A run that began before the teachers' weights were recorded can be resumed
        ours = {name: value for name, value in self.settings.items() if name in settings or name != "teacher_weights"}
        refuse_changes(settings, ours, self._run)
        return progress

    def saved_settings(self) -> dict[str, Any]:
        """Return the settings of the run so far; none if it has not begun.

        Raises:
            CaptionerError: the checkpoint is damaged.
        """
        return self._read()[0]

    def _read(self) -> tuple[dict[str, Any], Progress]:
        """Read the settings and the progress, and remember the checksums of the weights."""
        if not self._state.is_file():
            return {}, Progress()
        state = read_json(self._state, "checkpoint")
        try:
            known = {each.name for each in fields(Progress)}  # older files also have a best_score
            settings = dict(state["settings"])
            progress = Progress(**{name: value for name, value in state["progress"].items() if name in known})
            self._checksums = dict(state.get("checksums", {}))
            if state.pop("digest", None) != digest(state):
                raise ValueError("its checksum differs")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _damaged(self._state) from error
        return settings, progress

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Record that a training runs, so that the next one knows if it was killed."""
        if self._running.exists():
            log.warning(
                "the previous training was killed before it had finished; if memory ran out, lower --batch-size or "
                "--views"
            )
        self._running.touch()
        try:
            yield
        finally:
            self._running.unlink(missing_ok=True)

    def save(self, network: keras.Model, best: keras.Model | None, progress: Progress) -> None:
        """Write the state after an epoch: `network` with its optimiser, and `best` if this epoch is the best so far."""
        written = {self._weights("last", progress.epoch): network}
        if best is not None:
            written[self._weights("best", progress.best_epoch)] = best
        for path, model in written.items():
            _save_weights(model, path)
        known = self._checksums | {path.name: checksum_file(path) for path in written}
        kept = [self._weights("last", progress.epoch), self._weights("best", progress.best_epoch)]
        checksums = {path.name: known[path.name] for path in kept if path.name in known}
        state = {"settings": self.settings, "progress": vars(progress), "checksums": checksums}
        write_json(self._state, state | {"digest": digest(state)})
        self._checksums = checksums
        for stale in set(self.directory.glob("*.weights.h5")) - set(kept):
            stale.unlink(missing_ok=True)

    def load_best(self, network: keras.Model, progress: Progress) -> None:
        """Put the best weights so far into `network`, which is built like the one that was saved as the best.

        Raises:
            CaptionerError: the checkpoint is damaged.
        """
        self._load(network, "best", progress.best_epoch)

    def remove(self) -> None:
        """Delete the directory, beginning with the file that makes it a checkpoint."""
        self._state.unlink(missing_ok=True)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _load(self, network: keras.Model, kind: str, epoch: int) -> None:
        path = self._weights(kind, epoch)
        try:
            if checksum_file(path) != self._checksums.get(path.name):
                raise ValueError("its checksum differs")
            network.load_weights(path)
        except Exception as error:  # h5py and Keras raise many kinds
            raise _damaged(path) from error

    def _weights(self, kind: str, epoch: int) -> Path:
        return self.directory / f"{kind}-{epoch:04d}.weights.h5"


def _save_weights(network: keras.Model, path: Path) -> None:
    """Write a Keras weights file, with the optimiser's state where `network` is compiled, whole or not at all.

    Raises:
        OSError: the directory cannot be written to, or the disk is full.
    """
    optimizer = getattr(network, "optimizer", None)
    variables = [*network.weights, *(optimizer.variables if optimizer else ())]
    values = sum(math.prod(variable.shape) for variable in variables)
    with atomic_write(path) as temporary:
        if hasattr(os, "posix_fallocate"):  # a full disk shows here; HDF5 would crash Python over it
            with temporary.open("rb+") as file:
                os.posix_fallocate(file.fileno(), 0, 4 * values + 2048 * len(variables))
        network.save_weights(temporary)


def _damaged(path: Path) -> CaptionerError:
    return CaptionerError(f"the checkpoint {path} is damaged; start over with --no-resume")


def refuse_changes(before: dict[str, Any], now: dict[str, Any], where: Path) -> None:
    """Raise UsageError, naming each setting, when a run in `where` was started with others than those of a schedule."""
    before = {**before, **earlier_settings(before)}
    without_effect = {key for key in now if key not in before and unmet_need(key, now)}
    changed = [key for key in now if key not in (*SCHEDULE, *without_effect) and before.get(key) != now[key]]
    if changed:
        raise UsageError(
            f"{where} holds a run with other settings: {_differences(before, now, changed)}. Give the settings it was "
            "started with, another --output, or --no-resume to start over"
        )


def schedule_changes(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Describe how the settings of the schedule have changed since a run was started; empty where they have not."""
    return _differences(before, now, [key for key in SCHEDULE if key in before and before[key] != now.get(key)])


def _differences(before: dict[str, Any], now: dict[str, Any], names: list[str]) -> str:
    return "; ".join(f"{name} was {before.get(name)!r}, now {now.get(name)!r}" for name in names)

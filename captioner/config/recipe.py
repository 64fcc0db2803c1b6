"""Recipes: files with the settings of one or more trainings."""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from captioner.config.groups import CAPTION, CHAR_LM
from captioner.config.serialization import check_value
from captioner.config.training import task_settings
from captioner.errors import CaptionerError, UsageError
from captioner.system.files import open_regular, read_json

RUN = "run"
"""What a recipe calls the tables of its runs, where it has several."""

LARGEST_RECIPE = 1 << 20
"""Bytes of a recipe that is read."""

RECORDED = ("data", "text", "encoder_weights", "teacher_weights")
"""What `metrics.json` records beside the settings: checksums of what the training read."""


@dataclass(frozen=True)
class RunSettings:
    """The settings of one run, by their flat names.

    Attributes:
        values: what was given; all others have their defaults.
        given: names of those that are refused where they have no effect: what a recipe says as it stands, and options.
        where: the recipe and the number of the run, for messages; empty without a recipe.
    """

    values: Mapping[str, Any]
    given: frozenset[str]
    where: str = ""

    @property
    def task(self) -> str:
        """What the run trains."""
        return _task(self.values)

    def path(self, name: str) -> Path | None:
        """Return the value of a setting that names a file or directory."""
        value = self.values.get(name)
        return Path(value) if value else None

    @property
    def teachers(self) -> tuple[Path, ...]:
        """The directories of the models that teach."""
        return tuple(Path(each) for each in self.values.get("teachers", ()))


@dataclass(frozen=True)
class Recipe:
    """The settings of one or more runs in a file.

    Attributes:
        path: the file.
        shared: settings of all runs.
        runs: each run's own settings.
        recorded: whether these are the settings that a finished run recorded, with or without effect.
    """

    path: Path
    shared: Mapping[str, Any]
    runs: tuple[Mapping[str, Any], ...]
    recorded: bool = False

    def where(self, number: int) -> str:
        """Name a run in a message."""
        return f"{self.path}: {RUN} {number}" if len(self.runs) > 1 else str(self.path)


def read_recipe(path: Path) -> Recipe:
    """Read a recipe, TOML, or the `metrics.json` of a finished run as a recipe of that run.

    Raises:
        CaptionerError: it cannot be read, or has a setting that does not exist, of a wrong type or out of bounds.
    """
    recipe = _read_metrics(path) if path.suffix == ".json" else _read_toml(path)
    checked = []
    for number, own in enumerate(recipe.runs, start=1):
        where = recipe.where(number)
        task = check_settings({"task": _task({**recipe.shared, **own})}, CAPTION, where)["task"]
        check_settings(recipe.shared, task, where)
        checked.append(check_settings(own, task, where))
    shared = check_settings(recipe.shared, _task({**recipe.shared, **checked[0]}), str(path))
    return Recipe(path, shared, tuple(checked), recipe.recorded)


def plan_runs(recipe: Recipe | None, flags: Mapping[str, Any]) -> list[RunSettings]:
    """Return the runs that a recipe, if any, and the command line ask for; flags hold for all of them.

    Raises:
        UsageError: two runs would write into one directory.
        CaptionerError: one of several runs names no directory.
    """
    if recipe is None:
        return [RunSettings(flags, frozenset(flags))]
    if len(recipe.runs) > 1 and "output" in flags:
        raise UsageError(f"--output: {recipe.path} has {len(recipe.runs)} runs, each with its own; leave it out")
    runs: list[RunSettings] = []
    for number, own in enumerate(recipe.runs, start=1):
        values = {**recipe.shared, **own, **flags}
        idle = {name for name in recipe.shared if name not in own and name not in flags and unmet_need(name, values)}
        values = {name: value for name, value in values.items() if name not in idle}
        given = flags if recipe.recorded or flags else values  # options may well take a stage out of a recipe
        runs.append(RunSettings(values, frozenset(given), recipe.where(number)))
    if len(runs) > 1:
        _refuse_shared_output(runs)
    return runs


def unmet_need(name: str, values: Mapping[str, Any]) -> str | None:
    """Return the setting without which the setting `name` has no effect, where that is empty or 0."""
    settings = task_settings(_task(values))
    needs = settings[name].metadata.get("needs") if name in settings else None
    return needs if needs and not values.get(needs, settings[needs].default) else None


def earlier_settings(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run did whose version did not have some settings yet: those that matter to it, as it behaved."""
    return {
        name: about.metadata["absent"]
        for name, about in task_settings(_task(recorded)).items()
        if "absent" in about.metadata and name not in recorded and not unmet_need(name, recorded)
    }


def _task(values: Mapping[str, Any]) -> Any:
    return values.get("task", CAPTION)


def _read_toml(path: Path) -> Recipe:
    try:
        with open_regular(path) as file:
            content = file.read(LARGEST_RECIPE + 1)
        if len(content) > LARGEST_RECIPE:
            raise CaptionerError(f"the recipe {path} has more than {LARGEST_RECIPE} bytes; name another file")
        table = tomllib.loads(content.decode("utf-8"))
    except OSError as error:
        raise CaptionerError(
            f"cannot read the recipe {path}: {error.strerror}; name a file such as recipes/best.toml"
        ) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else error
        raise CaptionerError(f"the recipe {path} is not valid TOML in UTF-8: {reason}") from error
    runs = table.pop(RUN, None)
    if runs is None:
        return Recipe(path, {}, (table,))
    if not isinstance(runs, list) or not runs or not all(isinstance(each, dict) for each in runs):
        raise CaptionerError(f"{path}: {RUN}: expected tables [[{RUN}]], found {str(runs)[:40]!r}")
    return Recipe(path, table, tuple(runs))


def _read_metrics(path: Path) -> Recipe:
    metrics = read_json(path, "recipe")
    settings = metrics.get("settings") if isinstance(metrics, dict) else None
    if not isinstance(settings, dict):
        raise CaptionerError(f"{path}: the settings of a finished run are missing; name a metrics.json or a recipe")
    values = {name: value for name, value in settings.items() if name not in RECORDED and value is not None}
    if teacher := values.pop("teacher", None):  # a compact encoder has one
        values["teachers"] = [teacher]
    if "sequence_length" in values:
        values["task"] = CHAR_LM
    return Recipe(path, {}, ({**values, **earlier_settings(values)},), recorded=True)


def check_settings(values: Mapping[str, Any], task: str, where: str) -> dict[str, Any]:
    """Return values from a file, or from a caller, as the settings of a task hold them.

    Raises:
        CaptionerError: a setting does not exist, is of a wrong type or out of bounds.
    """
    settings = task_settings(task)
    checked = {}
    for name, value in values.items():
        if name not in settings:
            raise CaptionerError(f"{where}: {name[:40]!r} is no setting of --task {task}; {_advice(name, task)}")
        checked[name] = check_value(settings[name], settings[name].type, value, f"{where}: {name}")
    return checked


def _advice(name: str, task: str) -> str:
    """Suggest the name that was probably meant."""
    if name in ("data", "data_format"):
        return f"name the data on the command line, with --{name.replace('_', '-')}"
    other = CHAR_LM if task == CAPTION else CAPTION
    if name in task_settings(other):
        return f"it is one of --task {other}"
    names = {each.metadata.get("flag", key): key for key, each in task_settings(task).items()}
    names |= {key: key for key in task_settings(task)}
    if likely := difflib.get_close_matches(name.replace("-", "_"), names, n=1):
        return f"did you mean {names[likely[0]]}?"
    return "train.py --help-all lists all"


def _refuse_shared_output(runs: list[RunSettings]) -> None:
    known: dict[Path, RunSettings] = {}
    for run in runs:
        output = run.path("output")
        if output is None:
            raise CaptionerError(f"{run.where}: output: expected a directory, since there are several runs, found none")
        if output in known:
            raise CaptionerError(f"{run.where}: output: {known[output].where} writes to {output} too; name another")
        known[output] = run

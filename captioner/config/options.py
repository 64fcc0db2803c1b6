"""The command-line options of settings."""

from collections.abc import Iterable, Mapping
from typing import Any

from captioner.config.groups import CAPTION, CHAR_LM
from captioner.config.serialization import check_bounds
from captioner.config.setting import settings_of
from captioner.config.training import task_settings
from captioner.errors import CaptionerError, UsageError

_FLAGS = {
    name: each.metadata["flag"]
    for task in (CAPTION, CHAR_LM)
    for name, each in task_settings(task).items()
    if "flag" in each.metadata
}


def given(values: Mapping[str, Any], kind: Any) -> dict[str, Any]:
    """Return those fields of the settings class `kind` that have a value among `values`.

    Raises:
        UsageError: one is out of the bounds that this class has; the option may serve another with wider ones.
    """
    found = {}
    for name, about in settings_of(kind).items():
        value = values.get(name)
        if value is not None:
            try:
                check_bounds(about, value, flags([name]))
            except CaptionerError as error:
                raise UsageError(str(error)) from None
            found[name] = tuple(value) if isinstance(value, list) else value
    return found


def flags(names: Iterable[str]) -> str:
    """Name settings as a user types them, for messages."""
    return ", ".join(f"--{_FLAGS.get(name, name).replace('_', '-')}" for name in names)

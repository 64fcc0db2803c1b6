"""Configurations as JSON: written with a checksum, and read back with every name, type and bound checked."""

import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from captioner.config.setting import settings_of
from captioner.errors import CaptionerError
from captioner.system.files import read_json, write_json

FORMAT_VERSION = 2
READABLE = (1, FORMAT_VERSION)
DIGEST = "digest"
"""What a configuration file calls the checksum of all else in it."""

T = TypeVar("T")


def to_json(config: Any) -> dict[str, Any]:
    """Turn a configuration into nested dictionaries for JSON."""
    return dataclasses.asdict(config)


def from_json(kind: type[T], value: Any, where: str) -> T:
    """Build the dataclass `kind` from nested dictionaries, checking every name, type and bound.

    Args:
        kind: a settings class, such as those of `captioner.config`.
        value: what `to_json` gave, perhaps from a stranger's file.
        where: the file and the path of keys to `value`, for error messages.

    Raises:
        CaptionerError: an unknown or missing setting, a wrong type, a value out of bounds.
    """
    if not isinstance(value, dict):
        raise CaptionerError(f"{where}: expected an object of settings, found {type(value).__name__}")
    hints = typing.get_type_hints(kind)
    fields = settings_of(kind)
    value = {name: each.metadata["absent"] for name, each in fields.items() if "absent" in each.metadata} | value
    unknown, missing = sorted(value.keys() - fields.keys()), sorted(fields.keys() - value.keys())
    if unknown or missing:
        raise CaptionerError(
            f"{where}: unknown settings {unknown or 'none'}, missing settings {missing or 'none'}; "
            "this file was written by another version of captioner, or changed by hand"
        )
    checked = {name: check_value(fields[name], hints[name], value[name], f"{where}: {name}") for name in value}
    try:
        return kind(**checked)
    except CaptionerError as error:  # each of its values is allowed, but not all of them together
        raise CaptionerError(f"{where}: {error}") from error


def check_value(about: dataclasses.Field[Any], hint: Any, value: Any, where: str) -> Any:
    """Return a value from a file as the setting `about` holds it.

    Args:
        about: the field.
        hint: its type.
        value: what the file has.
        where: the file and the path of keys to `value`, for error messages.

    Raises:
        CaptionerError: it is of another type or out of bounds.
    """
    if isinstance(hint, types.UnionType) and value is not None:
        hint = next(filter(dataclasses.is_dataclass, typing.get_args(hint)), hint)
    if dataclasses.is_dataclass(hint):
        return from_json(hint, value, where)  # type: ignore[arg-type]
    for kind, called in ((int, "whole numbers"), (str, "strings")):
        if hint == dict[str, kind]:  # type: ignore[valid-type]
            if not isinstance(value, dict) or not all(type(each) is kind for each in value.values()):
                raise CaptionerError(f"{where}: expected an object of {called}, found {str(value)[:40]!r}")
            return value
    if hint == tuple[str, ...]:
        if not isinstance(value, list) or not all(type(each) is str for each in value):
            raise CaptionerError(f"{where}: expected a list of strings, found {str(value)[:40]!r}")
        return tuple(value)
    allowed = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if float in allowed and type(value) is int and abs(value) < 2**53:  # a larger one changes, or overflows
        value = float(value)
    if type(value) not in allowed:
        names = " or ".join(kind.__name__ for kind in allowed)
        raise CaptionerError(f"{where}: expected {names}, found {type(value).__name__} {str(value)[:40]!r}")
    check_bounds(about, value, where)
    return value


def listed(choices: Sequence[str], most: int = 5) -> str:
    """Name some choices for a message of one line."""
    more = f" or {len(choices) - most} more" if len(choices) > most else ""
    return f"{', '.join(choices[:most])}{more}"


def check_bounds(about: dataclasses.Field[Any], value: Any, where: str) -> None:
    """Raise CaptionerError when `value` lies outside the bounds or choices of the field `about`."""
    if value is None:  # of a setting that may be left open
        return
    choices = about.metadata.get("choices")
    if choices and value not in choices:
        raise CaptionerError(f"{where}: expected one of {listed(choices)}, found {str(value)[:40]!r}")
    if "ge" in about.metadata and not about.metadata["ge"] <= value <= about.metadata["le"]:
        raise CaptionerError(
            f"{where}: expected a value from {about.metadata['ge']} to {about.metadata['le']}, found {value}"
        )


def save_config(path: str | Path, **parts: Any) -> None:
    """Write configurations, and other parts, by name into one JSON file with its format version and a checksum."""
    value = {"format_version": FORMAT_VERSION} | {
        name: to_json(part) if dataclasses.is_dataclass(part) else part for name, part in parts.items()
    }
    write_json(path, value | {DIGEST: digest(value)})


def digest(value: Any) -> str:
    """Return BLAKE2b of a JSON value, however it is indented and ordered: 32 hexadecimal digits.

    Raises:
        RecursionError: it is nested too deep.
    """
    text = json.dumps(value, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def load_config(path: str | Path) -> dict[str, Any]:
    """Read a file that `save_config` wrote, with nothing in it checked but its version.

    Raises:
        CaptionerError: the file is missing, not JSON, or of another format.
    """
    value = read_json(path, "configuration")
    version = value.get("format_version") if isinstance(value, dict) else None
    if type(version) is not int or version not in READABLE:  # True == 1
        raise CaptionerError(
            f"{path}: format version {str(version)[:40]} cannot be read, this captioner reads "
            f"{' and '.join(map(str, READABLE))}; install the captioner that wrote it, or train again"
        )
    return dict(value)


def check_digest(path: str | Path, value: dict[str, Any]) -> None:
    """Compare what `load_config` gave with its checksum. Files of early versions have none.

    Last, since whoever changed a value by hand wants to know what is wrong with it.

    Raises:
        CaptionerError: it is damaged, or was changed by hand.
    """
    try:
        whole = value.get(DIGEST) in (None, digest({name: value[name] for name in value if name != DIGEST}))
    except RecursionError:  # whoever nested it so deep did not write it with us
        whole = False
    if not whole:
        raise CaptionerError(
            f"{path} is damaged or was changed by hand (its checksum differs); restore the original. Search settings "
            "can be given on the command line"
        )

"""Read and write whole files of text and JSON, and refuse what is no file."""

import errno
import json
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import Any

from captioner.errors import CaptionerError
from captioner.system.atomic import atomic_write
from captioner.system.file_names import ODD_NAMES

LARGEST_JSON = 1 << 25
"""Bytes of a JSON file that is read: the values that it may hold take about 25 times the memory."""


def write_text(path: str | Path, text: str, named: bool = False) -> None:
    """Write `text` to `path` in UTF-8 with Unix line ends, whole or not at all; half a character becomes `\\udcff`.

    Args:
        path: the file.
        text: the text.
        named: see `atomic_write`.
    """
    with atomic_write(path, named) as temporary:
        temporary.write_text(text, encoding="utf-8", errors=ODD_NAMES, newline="\n")


def write_json(path: str | Path, value: Any, named: bool = False) -> None:
    """Write `value` to `path` as indented JSON, whole or not at all; `named` as for `atomic_write`."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n", named)


def open_regular(path: str | Path) -> BufferedReader:
    """Open a file for reading. A pipe or a device is refused, since it may never answer, or never end.

    Raises:
        OSError: it is missing, cannot be read, or is no regular file.
    """
    path = os.fspath(path)
    _refuse_special(os.stat(path).st_mode, path)  # noqa: PTH116  # some devices act when they are opened
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _refuse_special(os.fstat(handle).st_mode, path)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def _refuse_special(mode: int, path: str) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is a pipe or a device, and no file", path)


def read_json(path: str | Path, what: str) -> Any:
    """Read the JSON file at `path`; `what` names its role in an error message.

    Raises:
        CaptionerError: the file is missing, unreadable, not JSON in UTF-8, or too large.
    """
    try:
        with open_regular(path) as file:
            content = file.read(LARGEST_JSON + 1)
        if len(content) > LARGEST_JSON:
            raise CaptionerError(
                f"the {what} {path} is larger than the {LARGEST_JSON >> 20} MiB that are read; restore it from where "
                "it came"
            )
        return json.loads(content.decode())
    except OSError as error:
        raise CaptionerError(f"cannot read the {what} {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, too many digits, too deep
        raise CaptionerError(
            f"the {what} {path} is not valid JSON in UTF-8 ({error}); restore it from where it came"
        ) from error

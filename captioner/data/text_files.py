"""Read caption files as text, lines or JSON, despite the usual faults.

What can be skipped is counted; a file that cannot be read at all is an error. `tables` builds on this module.
"""

import codecs
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from captioner.data.data_issues import DataIssue, DataIssues
from captioner.data.encoding import decoded
from captioner.errors import CaptionerError
from captioner.system.files import open_regular

HEAD = 1 << 16
"""Bytes of a JSON file by which its kind is recognised."""

LARGEST = 1 << 30
"""Bytes of a file that is read; the captions of COCO have a tenth."""


def read_text(path: Path, issues: DataIssues) -> str:
    """Return the text of `path`, in UTF-8 or with the byte order mark of UTF-16, without that mark.

    Raises:
        CaptionerError: the file cannot be read, or is in another encoding.
    """
    try:
        with open_regular(path) as file:
            raw = file.read(LARGEST + 1)
    except OSError as error:
        raise CaptionerError(f"cannot read {path}: {error.strerror}; allow reading it, or restore it") from error
    if len(raw) > LARGEST:
        raise CaptionerError(
            f"{path} has more than the {LARGEST >> 30} GiB that are read; make several data sets of it"
        )
    if raw.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        issues.add(DataIssue.BOM, path.name)
    return decoded(raw, path)


def read_lines(path: Path, issues: DataIssues) -> Iterator[tuple[int, str]]:
    """Yield line numbers, from 1, and the lines that are not blank.

    Raises:
        CaptionerError: the file cannot be read.
    """
    text = read_text(path, issues)
    if "\r" in text:
        issues.add(DataIssue.CRLF, path.name)
    for number, line in enumerate(unix(text).split("\n"), start=1):
        if line.strip():
            yield number, line


def read_lists(path: Path, keys: tuple[str, ...], issues: DataIssues) -> list[list[Any]]:
    """Return the lists that the JSON object in `path` holds under `keys`; their entries are not checked.

    Raises:
        CaptionerError: the file cannot be read, is not JSON, or lacks one of the lists.
    """
    try:
        value = json.loads(read_text(path, issues))
    except (ValueError, RecursionError) as error:
        raise CaptionerError(f"{path} is not valid JSON ({error}); get it again from its source") from error
    lists = []
    for key in keys:
        entries = value.get(key) if isinstance(value, dict) else None
        if not isinstance(entries, list):
            raise CaptionerError(
                f"{path} holds no list {key!r}, which its format has; get the file again from its source"
            )
        lists.append(entries)
    return lists


def read_records(path: Path, issues: DataIssues) -> Iterator[tuple[str, Any]]:
    """Yield the entries of a JSON list, or of a file of JSON lines: where each stands, and its value.

    Raises:
        CaptionerError: the file cannot be read, is neither, or has no good line at all.
    """
    text = unix(read_text(path, issues))
    if text.lstrip()[:1] == "[":
        try:
            entries = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CaptionerError(f"{path} is not valid JSON ({error}); get it again from its source") from error
        yield from ((f"entry {number}", entry) for number, entry in enumerate(entries))
        return
    broken = good = 0
    first = ""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield f"line {number}", json.loads(line)
                good += 1
            except (ValueError, RecursionError) as error:
                broken += 1
                first = first or f"line {number}: {error}"
                issues.add(DataIssue.BROKEN, f"{path.name} line {number}")
    if not good:
        raise CaptionerError(f"{path} has no line that is valid JSON ({first or 'it is empty'}); get it again")


def holds_records(path: Path, are_records: Callable[[Any], bool]) -> bool:
    """Return whether a JSON file is a list, or begins with a line that is itself a value of the right kind."""
    try:
        with open_regular(path) as file:
            head = file.read(HEAD)
    except OSError:  # which `read_text` reports
        return False
    try:
        text = head.decode("utf-8-sig", errors="ignore").lstrip()
        return text[:1] == "[" or are_records(json.loads(text.split("\n", 1)[0]))
    except (ValueError, RecursionError):
        return False


def as_text(value: Any) -> str:
    """Return a value from a JSON file, which must be a text.

    Raises:
        TypeError: it is none.
        UnicodeEncodeError: it holds half a character, as JSON can, and could never be written again.
    """
    if not isinstance(value, str):
        raise TypeError(value)
    value.encode()
    return value


def unix(text: str) -> str:
    """Return `text` with Unix line ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n")

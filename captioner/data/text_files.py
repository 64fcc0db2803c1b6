"""Read caption files as text, lines or JSON, with the faults that such files come with.

What can be read around is counted as a hole; a file that cannot be read at all is an error. `tables` goes on from here.
"""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from captioner.data.holes import Hole, Holes
from captioner.errors import CaptionerError


def read_text(path: Path, holes: Holes) -> str:
    """The text of `path` without a byte order mark; what is not UTF-8 becomes U+FFFD.

    Raises:
        CaptionerError: the file cannot be read.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CaptionerError(f"cannot read {path}: {error.strerror}; allow reading it, or restore it") from error
    encoding = "utf-8"
    if raw.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        holes.add(Hole.BOM, path.name)
        encoding = "utf-8-sig" if raw.startswith(codecs.BOM_UTF8) else "utf-16"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        text = raw.decode(encoding, errors="replace")
    for number, line in enumerate(text.split("\n"), start=1):
        if "\N{REPLACEMENT CHARACTER}" in line:
            holes.add(Hole.NOT_UTF8, f"{path.name} line {number}")
    return text


def read_lines(path: Path, holes: Holes) -> Iterator[tuple[int, str]]:
    """Line numbers from 1, and the lines that are not blank.

    Raises:
        CaptionerError: the file cannot be read.
    """
    text = read_text(path, holes)
    if "\r" in text:
        holes.add(Hole.CRLF, path.name)
    for number, line in enumerate(unix(text).split("\n"), start=1):
        if line.strip():
            yield number, line


def read_lists(path: Path, keys: tuple[str, ...], holes: Holes) -> list[list[Any]]:
    """The lists that the JSON object in `path` holds under `keys`; nothing is known about their entries.

    Raises:
        CaptionerError: the file cannot be read, is not JSON, or lacks one of the lists.
    """
    try:
        value = json.loads(read_text(path, holes))
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


def unix(text: str) -> str:
    """`text` with Unix line ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n")

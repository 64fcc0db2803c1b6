"""Photos that come through a pipe: read once, in this process, and opened as bytes."""

import os
import re
import stat
from pathlib import Path
from typing import BinaryIO

from captioner.errors import PhotoError
from captioner.photos.decoding import reason
from captioner.photos.limits import MAX_HELD
from captioner.system.standard_input import STDIN, TYPED, open_input

_DESCRIPTOR = re.compile(r"/dev/stdin|/dev/fd/\d+|/proc/self/fd/\d+")
"""Paths that lead elsewhere in another process."""


class NamedContent(bytes):
    """The content of a photo's file, with a name for messages.

    Attributes:
        name: what a user knows it by.
    """

    name: str

    @classmethod
    def of(cls, content: bytes, name: str) -> "NamedContent":
        """Return content with a name."""
        named = cls(content)
        named.name = name
        return named


def name_of(source: str | Path | bytes) -> str:
    """Return the name of a photo in messages."""
    if isinstance(source, bytes):
        return source.name if isinstance(source, NamedContent) else "the image"
    return str(source)


def is_stream(typed: str) -> bool:
    """Return whether a typed path can be read once only, or by this process only: a pipe, or standard input."""
    if typed == TYPED or _DESCRIPTOR.fullmatch(typed):
        return True
    try:
        return stat.S_ISFIFO(os.stat(typed).st_mode)  # noqa: PTH116
    except (OSError, ValueError):
        return False


def read_stream(typed: str, most: int = MAX_HELD) -> NamedContent:
    """Read a photo from a pipe to its end, or from standard input where `typed` is "-".

    Waits for whoever writes, and so belongs on the main thread, which Ctrl-C reaches.

    Args:
        typed: what the user typed.
        most: bytes that are read.

    Raises:
        PhotoError: it cannot be read, is a terminal or another device, or does not end in time.
    """
    name = str(STDIN) if typed == TYPED else typed
    try:
        with open_input(typed) as file:
            return NamedContent.of(_read(file, name, typed == TYPED, most), name)
    except OSError as error:
        raise PhotoError(f"{name}: {reason(error)}") from error


def _read(file: BinaryIO, name: str, is_stdin: bool, most: int) -> bytes:
    if file.isatty():
        raise PhotoError(f"{name}: a terminal, expected a photo; write `< photo.jpg`, or name a file")
    if not is_stdin and stat.S_ISCHR(os.fstat(file.fileno()).st_mode):
        raise PhotoError(f"{name}: not a regular file")
    content = file.read(most + 1)
    if len(content) > most:
        raise PhotoError(f"{name}: takes too much memory to open (more than {most:,} bytes came); make it smaller")
    return content

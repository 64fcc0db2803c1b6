"""BLAKE2b checksums of files: a model directory records them, and the cache names its files by them."""

import contextlib
import hashlib
import os
import time
from pathlib import Path

from captioner.errors import CaptionerError
from captioner.system.files import open_regular, read_json, write_json
from captioner.system.home import cache_directory

SMALL = 1 << 20
"""Bytes of a file that is read sooner than the note about it."""

SETTLED = 2.0
"""Seconds for which a file has to be as it is before a note is kept: within one tick of a file system's clock, which
has up to two, it could be written again and look the same."""


def checksum(content: bytes) -> str:
    """Return BLAKE2b of a file's content, 32 hexadecimal digits."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def checksum_file(path: Path) -> str:
    """Return BLAKE2b of a file of any size, 32 hexadecimal digits.

    Raises:
        OSError: it is missing or cannot be read.
    """
    with open_regular(path) as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def known_checksum(path: Path) -> str:
    """Return what `checksum_file` does, but read a large file only where its size, times or inode have changed.

    Reading weights takes longer than captioning a photo, so a note of what was found is kept in the cache.

    Raises:
        OSError: it is missing or cannot be read.
    """
    path = path.resolve()
    status = path.stat()
    if status.st_size < SMALL:
        return checksum_file(path)
    seen = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    note = cache_directory() / "litert" / f"note-{checksum(os.fsencode(path))}.json"
    with contextlib.suppress(CaptionerError, LookupError, TypeError):
        known = read_json(note, "note")
        if known["seen"] == seen:
            return str(known["content"])
    content = checksum_file(path)
    if abs(time.time() - status.st_ctime) > SETTLED:
        with contextlib.suppress(OSError):  # without a note the file is read each time
            write_json(note, {"seen": seen, "content": content})
    return content

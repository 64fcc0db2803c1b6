"""The contents of the cache: prepared encoders, notes about files, and the rows that trainings made from photos."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from captioner.errors import CaptionerError
from captioner.system.files import read_json
from captioner.system.home import cache_directory
from captioner.system.locks import held_by_others
from captioner.system.printable import in_a_line

STORES = ("features", "pixels", "targets", "taught")
NETWORKS = "litert"
NOTES = "notes"
KINDS = {
    "features": "what encoders see in the photos of trainings",
    "pixels": "photos for trainings of the compact encoder",
    "targets": "what teachers see in photos",
    "taught": "words that teachers expect",
    NETWORKS: "networks that predict reads",
    NOTES: "which notes were shown, so that each is shown once",
}
"""The folders of the cache, and what is in them."""

_ROWS, _ABOUT = "features.npy", "about.json"
_OF_STORE = (_ROWS, "checksums.npy", _ABOUT, ".lock")
_STORE = re.compile(r"[0-9a-f]{16,64}")
_NETWORK = re.compile(r"(encoder|decoder|note|tried)-[0-9a-f]{16,64}\.(zip|npz|json)")
_NOTE = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class CacheEntry:
    """An entry of the cache that can be removed by itself.

    Attributes:
        kind: one of `KINDS`.
        files: what it is made of; the first lies in a separate folder where `kind` is one of `STORES`.
        about: what it was made from, in words.
        size: bytes.
        used: when one of the files was read or written last, in seconds since 1970, by the file system.
    """

    kind: str
    files: tuple[Path, ...]
    about: str
    size: int
    used: float

    def remove(self) -> bool:
        """Remove the entry, unless a process is filling it; return whether it is gone.

        Raises:
            OSError: it cannot be removed.
        """
        if self.kind in STORES and any(held_by_others(path) for path in self.files if path.name == _ROWS):
            return False
        for path in self.files:
            path.unlink(missing_ok=True)
        if self.kind in STORES:
            with suppress(OSError):  # something of somebody else lies there
                self.files[0].parent.rmdir()
        return True


def cache_entries(kind: str | None = None) -> list[CacheEntry]:
    """Return the entries that Captioner has put into its cache, of one kind or of all; those of others are left out."""
    kinds = list(KINDS) if kind is None else [kind]
    return [entry for each in kinds for entry in _entries(cache_directory() / each, each)]


def _entries(folder: Path, kind: str) -> Iterator[CacheEntry]:
    if folder.is_symlink() or not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.is_symlink():
            continue
        if kind == NETWORKS:
            if path.is_file() and (found := _NETWORK.fullmatch(path.name)):
                yield _entry(kind, (path,), found[1])
        elif kind == NOTES:
            if path.is_file() and _NOTE.fullmatch(path.name):
                yield _entry(kind, (path,), "shown")
        elif path.is_dir() and _STORE.fullmatch(path.name):
            files = tuple(path / name for name in _OF_STORE if (path / name).is_file())
            if files:
                yield _entry(kind, files, _about(path / _ABOUT))


def _entry(kind: str, files: tuple[Path, ...], about: str) -> CacheEntry:
    states = [path.stat() for path in files]
    used = max(max(each.st_atime, each.st_mtime) for each in states)
    return CacheEntry(kind, files, about, sum(each.st_size for each in states), used)


def _about(path: Path) -> str:
    try:
        about = read_json(path, "description of the rows")
    except CaptionerError:
        return "unknown"
    if not isinstance(about, dict):
        return "unknown"
    return in_a_line(", ".join(f"{name} {str(value)[:40]}" for name, value in about.items()))

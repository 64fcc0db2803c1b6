"""Find photos: expand files, folders and patterns that a user typed."""

import glob
import os
import re
from collections.abc import Iterable, MutableMapping
from operator import itemgetter
from pathlib import Path

from captioner.photos.decoding import reason
from captioner.photos.kinds import EXTENSIONS, is_read, kind_by_name
from captioner.system.folders import current_directory, walk_once
from captioner.system.standard_input import STDIN, TYPED

CAPTIONED = ".captioned"
"""What stands before the extension of a copy with a description; folders and patterns leave such copies out."""

_NUMBER = re.compile(r"\d+")


def find_photos(
    paths: Iterable[str], passed_over: MutableMapping[str, int] | None = None
) -> tuple[list[Path], list[str]]:
    """Expand typed paths into photos, in the order named and without duplicates, and complaints.

    A file stays, whatever its extension, and so does "-", standard input. A folder gives the photos in it and in its
    folders, known by their extension, in natural order (2.jpg before 10.jpg), without hidden ones. A glob pattern that
    the shell left alone is expanded. What leads nowhere gives a complaint of one line. Linked folders are followed,
    each folder once.

    Args:
        paths: what the user typed.
        passed_over: counts, by their kinds, the photos in folders that cannot be read (see `photos.kinds.passed_over`).
    """
    photos: dict[str, Path] = {}
    complaints = []
    unread: dict[Path, str] = {}
    paths = list(paths)
    here = current_directory() or Path()
    for typed in paths:
        unread_here: dict[Path, str] = {}
        found, wrong = _expand(typed, unread_here)
        unread |= unread_here
        complaints += wrong
        for photo in found:
            # Paths compare slowly, and there may be a million; those of one argument have one beginning
            place = os.path.normcase(os.path.join(here, photo)) if len(paths) > 1 else str(photo)  # noqa: PTH118
            photos.setdefault(place, photo)
    if passed_over is not None:
        for kind in unread.values():
            passed_over[kind] = passed_over.get(kind, 0) + 1
    return list(photos.values()), complaints


def _expand(typed: str, unread: dict[Path, str]) -> tuple[list[Path], list[str]]:
    path = Path(typed)
    if typed == TYPED:
        return [STDIN], []
    try:
        if typed and path.is_dir():
            photos, complaints = _photos_in(path, unread)
            if not (photos or complaints or unread):
                complaints = [f"{typed}: no photos in this folder (looked for {' '.join(_looked_for())})"]
            return photos, complaints
        if typed and (path.exists() or path.is_symlink()):
            return [path], []
        if not glob.has_magic(typed):
            return [], [f"{typed or repr(typed)}: no such file"]
        return _matching(typed, unread)
    except OSError as error:
        return [], [f"{typed}: {reason(error)}"]


def _matching(pattern: str, unread: dict[Path, str]) -> tuple[list[Path], list[str]]:
    photos: list[Path] = []
    complaints: list[str] = []
    for match in map(Path, sorted(glob.glob(pattern, recursive=True), key=_natural)):
        if match.is_dir():
            inside, wrong = _photos_in(match, unread)
            photos += inside
            complaints += wrong
        elif is_photo(match.name):
            photos.append(match)
        elif kind := unread_kind(match.name):
            unread[match.absolute()] = kind
    if not (photos or complaints or unread):
        complaints = [f"{pattern}: no photos match this pattern"]
    return photos, complaints


def _photos_in(folder: Path, unread: dict[Path, str]) -> tuple[list[Path], list[str]]:
    found: list[tuple[str, Path]] = []
    complaints: list[str] = []

    def unreadable(error: OSError) -> None:
        complaints.append(f"{error.filename}: {reason(error)}")

    for parent, _, files in walk_once(folder, unreadable):
        place = "".join(f"{_natural(part)}\0" for part in Path(parent).parts)
        for name in files:
            if name.startswith("."):
                continue
            if is_photo(name):
                found.append((place + _natural(name), Path(parent, name)))
            elif kind := unread_kind(name):
                unread[Path(parent, name).absolute()] = kind
    found.sort(key=itemgetter(0))
    return [photo for _, photo in found], complaints


def is_photo(name: str) -> bool:
    """Return whether folders and patterns count a file as a photo, by its name."""
    return is_read(kind_by_name(name)) and not _is_copy(name)


def unread_kind(name: str) -> str:
    """Return the kind of a photo that cannot be read, by its file's name; "" where it can be read, or is no photo."""
    kind = kind_by_name(name)
    return "" if not kind or is_read(kind) or _is_copy(name) else kind


def _is_copy(name: str) -> bool:
    return name.lower().rpartition(".")[0].endswith(CAPTIONED)


def _looked_for() -> list[str]:
    return [each for kind, extensions in EXTENSIONS.items() if is_read(kind) for each in extensions]


def _natural(name: str) -> str:
    """Return the key under which "2.jpg" stands before "10.jpg": before each number stands how many digits it has.

    A string, which takes less time to make and to compare than a list, and of which there may be a million.
    """
    return _NUMBER.sub(_ordered, name.casefold())


def _ordered(number: re.Match[str]) -> str:
    digits = str(int(number[0]))
    return f"\1{chr(len(digits))}{digits}\1"

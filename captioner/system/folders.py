"""Walk through folders, whatever links they hold."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path


def walk_once(
    folder: str | Path, unreadable: Callable[[OSError], object] | None = None
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Walk through a folder as `os.walk` does, and through linked folders, but through none twice.

    Links are followed when all else has been seen, so that a folder goes by its own name where it has one in the tree,
    and links that lead back lead nowhere. Hidden folders are left out. Names may be removed from the list of folders.

    Args:
        folder: where to begin; may be a link itself.
        unreadable: takes the error where a folder cannot be listed.

    Yields:
        A folder, the names of its folders, linked ones among them, and the names of its files.
    """
    seen: set[object] = set()
    waiting = deque([os.fspath(folder)])
    while waiting:
        for parent, folders, files in os.walk(waiting.popleft(), onerror=unreadable):
            identity = folder_identity(parent)
            if identity in seen:
                folders.clear()
                continue
            seen.add(identity)
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            yield parent, folders, files
            places = [os.path.join(parent, name) for name in folders]  # noqa: PTH118  # a name need not be text
            waiting += [place for place in places if os.path.islink(place)]  # noqa: PTH114


def folder_identity(folder: str) -> object:
    """Return the identity of a folder, whatever path leads to it."""
    try:
        found = os.stat(folder)  # noqa: PTH116
    except OSError:
        return folder
    # Some network file systems number nothing
    return (found.st_dev, found.st_ino) if found.st_ino else os.path.realpath(folder)


def current_directory() -> Path | None:
    """Return the current directory; None if it was deleted."""
    try:
        return Path.cwd()
    except OSError:
        return None

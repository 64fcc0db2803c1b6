"""Write files so that a reader finds the old one or the new one, never half of either."""

import errno
import json
import os
import re
import shutil
import stat
import tempfile
import unicodedata
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Any

from captioner.errors import CaptionerError
from captioner.system.home import home

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_FULL = ("the disk is full", "make room")
NO_ROOM = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: ("no file may become so large here (see ulimit -f)", "raise the limit"),
}
"""Why something cannot be written for lack of space, and what to do, by the number of the error."""

ODD_NAMES = "backslashreplace"
"""A file's name need not be text; JSON readers understand the \\udcff that results."""

STAND_IN = ".captioner-"
"""The prefix of the temporary directories, beside the target, in which files are written."""

LONGEST = 255 - len(STAND_IN) - 8
"""Bytes that may follow in the name of such a directory: file systems have 255, the random part 8."""

LARGEST_JSON = 1 << 25
"""Bytes of a JSON file that is read: the values that it may hold take about 25 times the memory."""

_LIKE_ODD = re.compile(r"\\+(?=[\ud800-\udfff]|ud[89a-f][0-9a-f]{2})")

_swept: set[Path] = set()


@contextmanager
def atomic_write(path: str | Path, named: bool = False, mode: int | None = None) -> Iterator[Path]:
    """Yield a path beside `path` to write to; rename it over `path` when the block ends well.

    The stand-in's name ends like that of `path`, since many writers choose their format by it. When the
    block raises, or is interrupted, the stand-in is removed and `path` stays as it was. One that a killed process has
    left in the directory is removed too.

    Args:
        path: the file.
        named: whether a user typed just this path. Then a link stays a link, and its target is replaced, and a device
            or a pipe is written to as it is; else whatever is there gives way, since a stranger may have put it there.
        mode: the new file's permissions; not given, those of the file that it replaces, or else what the umask lets.

    Raises:
        OSError: the directory cannot be made or written to, or the disk is full.
    """
    path = Path(path)
    if named and path.exists() and not path.is_file():
        yield path
        return
    if named and path.is_symlink():
        path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.parent not in _swept:  # once, since a folder may hold as many files as are written
        sweep(path.parent)
        _swept.add(path.parent)
    with stand_in(path) as folder:
        temporary = folder / path.name
        temporary.touch()
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.chmod(_permissions(path) if mode is None else stat.S_IMODE(mode))
        temporary.replace(path)


@contextmanager
def naming(path: Path, stand_in: Path | None = None) -> Iterator[None]:
    """Let an error about missing space name the path that the user knows.

    What writes to an open file does not know its name, and what writes to a stand-in knows that of the stand-in.
    """
    try:
        yield
    except OSError as error:
        if tells_of_no_room(error) and (
            error.filename is None or (stand_in and Path(str(error.filename)).is_relative_to(stand_in))
        ):
            error.filename = str(path)
        raise


def tells_of_no_room(error: BaseException) -> bool:
    """Whether an error is one of `NO_ROOM`."""
    return isinstance(error, OSError) and error.errno in NO_ROOM


@contextmanager
def stand_in(path: Path) -> Iterator[Path]:
    """Yield a directory beside `path`; it is removed when the block ends, or by `sweep` if its process was killed."""
    folder, handle = _make_stand_in(path)
    try:
        with naming(path, folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if handle >= 0:
            os.close(handle)


def _make_stand_in(path: Path) -> tuple[Path, int]:
    """Make a directory beside `path` and lock it; another process's sweep may remove it between the two."""
    suffix = f"-{path.name}"
    if len(os.fsencode(suffix)) > LONGEST:
        suffix = "-"
    while True:
        try:
            folder = Path(tempfile.mkdtemp(prefix=STAND_IN, suffix=suffix, dir=path.parent))
        except OSError as error:
            error.filename = str(path)  # which the user knows
            raise
        if not fcntl:
            return folder, -1
        with suppress(FileNotFoundError):
            handle = os.open(folder, os.O_RDONLY)
            with suppress(OSError):  # where the file system knows no locks, nobody sweeps
                fcntl.flock(handle, fcntl.LOCK_EX)
            if folder.exists():
                return folder, handle
            os.close(handle)


def _of_a_file(folder: Path, name: str) -> bool:
    return not any(each.is_dir() for each in folder.iterdir())


def sweep(directory: Path, rescue: Callable[[Path, str], bool] = _of_a_file) -> None:
    """Remove the temporary directories that killed processes have left in a directory.

    Args:
        directory: where they may be.
        rescue: called before with each, and with the name of what it stood in for, "" where that is too long; tells
            whether the rest may go. If it is not given, those with a directory in them stay, since it may be all that
            is left of an export.
    """
    if not fcntl:
        return
    with suppress(OSError):  # whatever cannot be removed stays
        for folder in directory.glob(f"{STAND_IN}*-*"):
            handle = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
            try:
                if _claim(handle):
                    name = folder.name.removeprefix(STAND_IN).split("-", 1)[1]
                    if rescue(folder, name):
                        shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(handle)


def _claim(handle: int) -> bool:
    """Lock an open directory until it is closed or its process ends; False if another process holds it.

    Not a file, since HDF5 locks those that it writes itself.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # or the file system knows no locks
        return False
    return True


def write_text(path: str | Path, text: str, named: bool = False) -> None:
    """Write `text` to `path` in UTF-8 with Unix line ends, whole or not at all; half a character becomes `\\udcff`.

    Args:
        path: the file.
        text: the text.
        named: see `atomic_write`.
    """
    with atomic_write(path, named) as temporary:
        temporary.write_text(text, encoding="utf-8", errors=ODD_NAMES, newline="\n")


def written(name: str) -> str:
    """Return a file's name as it stands in UTF-8 text: bytes that are no text as \\udcff.

    Where a backslash that is in the name would be taken for the beginning of such an escape, it is doubled, so that no
    two names become one.
    """
    return _LIKE_ODD.sub(r"\g<0>\g<0>", name).encode("utf-8", ODD_NAMES).decode("utf-8")


def folded(name: str) -> str:
    """Return a key that is equal for names that differ only in case or Unicode form."""
    return unicodedata.normalize("NFC", name).casefold()


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


def cache_directory() -> Path:
    """The directory for files that can be made again: $XDG_CACHE_HOME/captioner, else ~/.cache/captioner.

    Where the system knows no home directory, it lies in a folder for temporary files that is this user's alone.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else home() / ".cache") / "captioner"


def current_directory() -> Path | None:
    """Return the current directory; None if it was deleted."""
    try:
        return Path.cwd()
    except OSError:
        return None


def _permissions(path: Path) -> int:
    """Return the permissions that a file at `path` has, or is to get; a stranger's file grants no more than usual."""
    usual = 0o666 & ~_umask()
    try:
        status = path.lstat()
    except OSError:
        return usual
    if not stat.S_ISREG(status.st_mode):
        return usual
    there = stat.S_IMODE(status.st_mode) & 0o777
    return there if not hasattr(os, "geteuid") or status.st_uid == os.geteuid() else there & usual


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask

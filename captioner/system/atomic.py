"""Write files so that a reader finds the old one or the new one, never half of either."""

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

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

STAND_IN = ".captioner-"
"""The prefix of the temporary directories, beside the target, in which files are written."""

LONGEST = 255 - len(STAND_IN) - 8
"""Bytes that may follow in the name of such a directory: file systems have 255, the random part 8."""

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
    """Return whether an error is one of `NO_ROOM`."""
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
        rescue: called before with each, and with the name of what it stood in for, "" where that is too long; says
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

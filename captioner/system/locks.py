"""Let one process at a time change a file, or one command at a time have a directory.

What is locked is the file or the directory itself, so that no lock file lies beside people's photos, and a file that
may be written to can be locked in a folder that is read-only. The system lifts a lock when its process ends, however it
ends. Where a file system knows no locks, the work continues without: a single process needs none. Windows locks no
directories; in those that only this program writes, a file stands for them there.
"""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from captioner.errors import UsageError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
    import msvcrt

_BYTE = (1 << 31) - 2
"""Windows locks bytes, and nobody else can read or write those: this is the last that its C library can lock."""

_STAND_IN = ".lock"
"""The file that Windows locks in the place of its directory."""

_PAUSE = 0.02
"""Seconds between two attempts where the system cannot wait by itself."""


@contextmanager
def locked(handle: int) -> Iterator[None]:
    """Lock an open file during the block; wait until nobody else holds it.

    Args:
        handle: the number of a file that is open for writing; on Windows, its position is moved.
    """
    if not fcntl:
        with _locked_byte(handle):
            yield
        return
    with suppress(OSError):  # the file system knows no locks
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)


@contextmanager
def _locked_byte(handle: int) -> Iterator[None]:
    while True:
        os.lseek(handle, _BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
            break
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EDEADLK):
                yield
                return
        time.sleep(_PAUSE)
    try:
        yield
    finally:
        os.lseek(handle, _BYTE, os.SEEK_SET)
        with suppress(OSError):
            msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined,unused-ignore]


@contextmanager
def locked_directory(directory: Path) -> Iterator[None]:
    """Make a directory and lock it during the block; wait until nobody else holds it.

    Only those that ask in the same way are kept out.

    Args:
        directory: one that only this program writes, such as a cache.

    Raises:
        OSError: it cannot be made, or not be opened.
    """
    directory.mkdir(parents=True, exist_ok=True)
    place, access = (directory, os.O_RDONLY) if fcntl else (directory / _STAND_IN, os.O_RDWR | os.O_CREAT)
    handle = os.open(place, access)
    try:
        with locked(handle):
            yield
    finally:
        os.close(handle)


def hold(path: Path) -> int:
    """Open a file and mark it as used, beside others who may do the same, until what is returned is closed.

    Raises:
        OSError: it cannot be opened.
    """
    handle = os.open(path, os.O_RDONLY)
    if fcntl:
        with suppress(OSError):  # the file system knows no locks
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return handle


def held_by_others(path: Path) -> bool:
    """Return whether somebody holds a file; False on file systems without locks."""
    if not fcntl:
        return False
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


@contextmanager
def alone_in(directory: Path, what: str) -> Iterator[None]:
    """Hold a directory exclusively during the block. A missing one is created, and removed if it stays empty.

    Args:
        directory: what `--output` names.
        what: what else may be writing there, such as "training".

    Raises:
        UsageError: another process has it.
        OSError: it cannot be made.
    """
    made = not directory.exists()
    directory.mkdir(parents=True, exist_ok=True)
    handle = _claim(directory, what)
    try:
        yield
    finally:
        if made:
            with suppress(OSError):
                directory.rmdir()
        if handle >= 0:
            os.close(handle)


def _claim(directory: Path, what: str) -> int:
    """Lock a directory until what is returned is closed, or the process ends; -1 where directories have no locks."""
    if not fcntl:
        return -1
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise UsageError(
            f"--output {directory}: another {what} is writing there; wait until it ends, or name another --output"
        ) from None
    except OSError:  # the file system knows no locks
        pass
    return handle

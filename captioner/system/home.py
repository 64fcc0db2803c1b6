"""The user's home directory and the cache in it, or a private folder where the system has no home for the user.

A container that runs under any number of user, without HOME, has none.
"""

import atexit
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

_VARIABLE = "USERPROFILE" if os.name == "nt" else "HOME"
_NOWHERE = os.path.join(os.path.abspath(os.sep), "nonexistent")  # noqa: PTH100, PTH118


def home() -> Path:
    """Return the home directory, or if there is none a folder for temporary files that only this user can read."""
    return known_home() or _private_folder(_name())


def known_home() -> Path | None:
    """Return the home directory that the system knows; None if it knows none."""
    try:
        found = Path.home()
    except RuntimeError:
        return None
    return found if found.is_absolute() else None


def settle() -> None:
    """Set the private folder as the home of this process and its children if they have none, since libraries need one.

    For commands, since the environment is the whole process's.
    """
    if known_home() is None:
        os.environ[_VARIABLE] = str(home())
        if not any(os.environ.get(name) for name in ("LOGNAME", "USER", "LNAME", "USERNAME")):
            os.environ["USER"] = _user()


def is_private() -> bool:
    """Return whether `home` is a folder for temporary files, since the system knows no home."""
    found = home()
    return found.parent == Path(_temporary()) and found.name.startswith(_name())


def _user() -> str:
    return str(os.geteuid()) if hasattr(os, "geteuid") else "user"


def _name() -> str:
    return f"captioner-{_user()}"


def _temporary() -> str:
    try:
        return tempfile.gettempdir()
    except OSError:  # nothing can be written anywhere
        return _NOWHERE


@cache
def _private_folder(name: str) -> Path:
    """Return the folder of this name for temporary files if it is this user's alone; else a new one until exit."""
    folder = Path(_temporary(), name)
    with suppress(OSError):  # something is there, or nothing can be made
        folder.mkdir(0o700)
    if _is_ours(folder):
        return folder
    try:
        made = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    except OSError:
        return Path(_NOWHERE, name)  # what is written there fails with its own message
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def _is_ours(folder: Path) -> bool:
    """Return whether nobody else can write to a folder; a link may lead anywhere."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    if not stat.S_ISDIR(found.st_mode):
        return False
    return not hasattr(os, "geteuid") or (found.st_uid == os.geteuid() and not found.st_mode & 0o077)


def cache_directory() -> Path:
    """The directory for files that can be made again: $XDG_CACHE_HOME/captioner, else ~/.cache/captioner.

    Where the system knows no home directory, it lies in a folder for temporary files that is this user's alone.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else home() / ".cache") / "captioner"

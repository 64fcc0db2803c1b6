"""Start child processes of this package that may be killed at any time."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any, cast

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    import subprocess

PIPE = 1 << 20
"""Bytes that a process may have answered before anybody reads."""

_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",  # whose threads would reserve memory
    "OMP_NUM_THREADS": "1",
    # Of glibc: memory that the system clears anew for each photo costs a third of the time that opening one takes
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
}

_ROOT = str(Path(__file__).resolve().parents[2])
# The same places to import from as here, in the same order, without the directory that the process runs in
_START = "import sys; sys.path[:] = sys.argv[2:]; from importlib import import_module as load; load(sys.argv[1]).main()"


def can_start() -> bool:
    """Return whether there is a Python to start: a program that embeds Python, or is frozen, has no interpreter."""
    return bool(sys.executable) and not getattr(sys, "frozen", False)


def start(module: str, environment: Mapping[str, str] = MappingProxyType({})) -> "subprocess.Popen[bytes]":
    """Start the `main` of a module in another Python, with pipes for its input and its output.

    It has its own process group, so that Ctrl-C reaches this process alone, which decides whether to stop it. What
    it complains of goes nowhere. It is to end when its input does.

    Args:
        module: what to run.
        environment: variables that it has besides those of this process.

    Raises:
        OSError: the system has no room for another process.
    """
    import subprocess  # a command that opens one photo needs none

    places = list(_absolute(place for place in sys.path if isinstance(place, str) and place))
    if _ROOT not in places:  # imported from the directory that the process ran in
        places.insert(0, _ROOT)
    own_group: dict[str, Any] = {"process_group": 0}
    if sys.platform == "win32":
        own_group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", _START, module, *places],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=1 << 16,
        cwd=os.path.abspath(os.sep),  # noqa: PTH100  # where it holds nobody's folder
        env={**os.environ, **_ENVIRONMENT, **environment},
        **own_group,
    )
    if hasattr(fcntl, "F_SETPIPE_SZ"):  # of 64 KB each side would wait for the other several times a photo
        with suppress(OSError):  # a user may have no more of them
            fcntl.fcntl(cast(IO[bytes], process.stdout), fcntl.F_SETPIPE_SZ, PIPE)
    return process


def _absolute(places: Iterable[str]) -> Iterator[str]:
    for place in places:
        with suppress(OSError):  # the current directory is gone, and what lay in it too
            yield os.path.abspath(place)  # noqa: PTH100

"""Start processes of this package that may be killed, whatever they are at."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess

_ROOT = str(Path(__file__).resolve().parents[1])
# The same places to import from as here, in the same order, without the directory that the process runs in
_START = "import sys; sys.path[:] = sys.argv[2:]; import runpy; runpy.run_module(sys.argv[1], run_name='__main__')"


def can_start() -> bool:
    """Tell whether there is a Python to start: a program that embeds Python, or is frozen, has none."""
    return bool(sys.executable) and not getattr(sys, "frozen", False)


def start(module: str, **options: Any) -> "subprocess.Popen[bytes]":
    """Start `python -m MODULE` beside this process, with pipes for its input and its output.

    It has a process group of its own, so that Ctrl-C reaches this process alone, which decides what becomes of it. What
    it complains of goes nowhere. It is to end when its input does.

    Args:
        module: what to run.
        **options: more for `subprocess.Popen`.

    Raises:
        OSError: the system has no room for another process.
    """
    import subprocess  # a command that opens one photo needs none

    places = [place for place in sys.path if isinstance(place, str) and place]
    if _ROOT not in places:  # imported from the directory that the process ran in
        places.insert(0, _ROOT)
    own_group: dict[str, Any] = {"process_group": 0}
    if sys.platform == "win32":
        own_group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _START, module, *places],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        **own_group,
        **options,
    )

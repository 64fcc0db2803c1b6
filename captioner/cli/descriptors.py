"""Standard input, output and error, where they were closed when the command started."""

import os
import sys

_closed: set[int] = set()


def open_closed() -> None:
    """Open the null device for each closed descriptor, before a file of ours takes its number.

    Writing to stdout then fails, as it would have before; error messages are lost, and stdin is empty.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # Of the first two nothing can be written
            handle = os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)
            if handle != number:
                os.dup2(handle, number)
                os.close(handle)
            os.set_inheritable(number, True)
            _closed.add(number)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115


def stdout_is_closed() -> bool:
    """Return whether stdout was closed when the command began."""
    return 1 in _closed

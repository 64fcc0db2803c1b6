"""Progress of commands: a bar on a terminal, and a line now and then in a log file. The library shows none."""

import sys
from typing import Any

INTERVAL = 30.0
"""Seconds between two lines where stderr is no terminal."""

_shown = False


def show_progress(shown: bool = True) -> None:
    """Show or hide the progress of this process from now on."""
    global _shown
    _shown = shown


def progress_bar(*items: Any, **options: Any) -> Any:
    """Return a `tqdm.tqdm` with these arguments, which stays silent until `show_progress` was called.

    Where stderr is no terminal, a bar that is drawn over and over would make one endless line. There it writes a line
    of its own every `INTERVAL` seconds, and none for what is done sooner.
    """
    from tqdm import tqdm

    if _shown and not sys.stderr.isatty():
        # Each update looks at the clock (miniters), and nothing but the figures is shown (ncols).
        options |= {"file": _Lines(), "mininterval": INTERVAL, "delay": INTERVAL, "miniters": 1, "ncols": 0}
    return tqdm(*items, disable=not _shown, **options)


class _Lines:
    """A file for stderr in which each drawing of a bar is a line, and its erasure is none."""

    def write(self, text: str) -> None:
        """Write a line, unless it is empty."""
        if line := text.strip():
            sys.stderr.write(f"{line}\n")

    def flush(self) -> None:
        """Flush the lines."""
        sys.stderr.flush()

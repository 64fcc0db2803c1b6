"""Standard input as a file that a user names."""

from pathlib import Path
from typing import BinaryIO

STDIN = Path("stdin")
"""How a file that comes from standard input is shown."""

TYPED = "-"
"""What a user types for standard input."""


def open_input(typed: str) -> BinaryIO:
    """Open a file, or standard input where `typed` is "-", to be read as bytes.

    Raises:
        OSError: it cannot be opened.
    """
    # Python holds the number 0 itself, so it stays open
    return open(0 if typed == TYPED else typed, "rb", closefd=typed != TYPED)

"""What a hostile photo is: its kind, its name, and how it is made."""

import random
from collections.abc import Callable
from typing import NamedTuple

MEGABYTE = 1_000_000

SIZES = (1, 5)
"""Megabytes of files that are as large as one likes: work that grows with the square of it shows in the second."""


class Case(NamedTuple):
    """A photo to be made; two of one name and one random state have the same bytes."""

    kind: str
    name: str
    make: Callable[[random.Random], bytes]

"""Photos whose structure was multiplied: few bytes that ask for hours or for all memory, of every format."""

import random
from collections.abc import Iterator

from . import avif, bmp, foreign, gif, jpeg, png, tiff, webp
from .case import Case

_FORMATS = (gif, jpeg, png, tiff, bmp, webp, avif, foreign)


def cases() -> Iterator[Case]:
    """Give all of them, unmade."""
    for form in _FORMATS:
        yield from form.cases()


def made(case: Case, seed: int) -> bytes:
    """Make one."""
    return case.make(random.Random(f"{seed}-{case.name}"))

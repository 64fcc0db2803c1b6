"""The structure of a photo's file, whatever its format."""

import mmap
from collections.abc import Sequence
from typing import NamedTuple

Content = bytes | mmap.mmap
"""A photo's file: in memory, or as a map of one that is too large for that."""

MOST_PARTS = 100_000
"""Parts of a file that are looked at: segments, chunks, blocks, strips. Photos at the limits have half as many."""


class Structure(NamedTuple):
    """The cost of decoding a photo, and the parts of the file that it needs.

    Attributes:
        format: Pillow's name for it.
        size: width and height in pixels, before the orientation is applied.
        raw: bytes that the decoder unpacks: pixels times channels times the bytes of each.
        held: bytes that the decoder holds at once, the picture included.
        passes: how often it goes over the whole picture.
        orientation: as EXIF counts, 1 for upright.
        spans: the parts that Pillow is given, in order.
    """

    format: str
    size: tuple[int, int]
    raw: int
    held: int
    spans: Sequence[bytes | memoryview]
    passes: int = 1
    orientation: int = 1

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.size[0] * self.size[1]


def number(content: Content | memoryview, place: int, size: int, order: str = "big") -> int:
    """Return the whole number of `size` bytes at `place`; `order` is "big" or "little".

    Raises:
        ValueError: the file ends before.
    """
    found = content[place : place + size]
    if len(found) < size:
        raise ValueError("it ends too early")
    return int.from_bytes(found, order)  # type: ignore[arg-type]


def count_part(parts: int, what: str) -> int:
    """Return the number of parts, one more counted.

    Raises:
        OverflowError: no photo has so many.
    """
    if parts >= MOST_PARTS:
        raise OverflowError(f"it has more than {MOST_PARTS:,} {what}")
    return parts + 1

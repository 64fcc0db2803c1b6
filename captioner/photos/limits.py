"""The limits of a photo's size, and of the time and memory to open it.

The limits are what a file says of itself, and are held against its header before anything is decoded. The budget is
what a process really takes. Photos at the limits stay well within the budget.
"""

from typing import NamedTuple

MAX_PIXELS = 178_956_970
"""Pillow's own limit for an error, twice that of its warning: the largest cameras stay below it."""

MAX_SIDE = 65_535
"""Pixels of a side at most, as in JPEG: some decoders take time or memory for each row."""

MAX_RAW = 400_000_000
"""Bytes that a decoder may have to unpack: 133 million pixels in RGB, half as many with 16 bits a channel."""

MAX_HELD = 750_000_000
"""Bytes that a decoder may hold at once, the file included."""

MAX_WORK = 4_000_000_000
"""Pixels times passes: a progressive JPEG at the limit in 20 scans."""

LARGE = 40_000_000
"""Pixels from which on a photo is made smaller as it is read."""

PLAIN_FILE, PLAIN_HELD, PLAIN_WORK = 32_000_000, 160_000_000, 300_000_000
"""Bytes of a file, bytes held, and pixels times passes up to which a single photo is opened without another process."""


class Budget(NamedTuple):
    """The limits of a process that opens one photo.

    Attributes:
        processor: seconds of a core. The rest of a command stays within a second.
        memory: bytes at the peak.
        wall: seconds in all, whoever else uses the machine; the only bound where the system reports no other.
    """

    processor: float = 4.0
    memory: int = 950_000_000
    wall: float = 60.0


BUDGET = Budget()

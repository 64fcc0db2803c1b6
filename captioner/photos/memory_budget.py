"""Memory that several threads share, so that what all of them take at once is bounded."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class MemoryBudget:
    """A budget of bytes that threads share; a request larger than the budget is served alone.

    Args:
        size: bytes.
    """

    def __init__(self, size: int) -> None:
        self._size, self._taken = size, 0
        self._changed = threading.Condition()

    @contextmanager
    def take(self, share: int) -> Iterator[None]:
        """Wait until there is room for `share` bytes, and hold it for a block."""
        share = min(share, self._size)
        with self._changed:
            self._changed.wait_for(lambda: self._taken + share <= self._size)
            self._taken += share
        try:
            yield
        finally:
            with self._changed:
                self._taken -= share
                self._changed.notify_all()


DECODING = MemoryBudget(300_000_000)
"""What all photos that are decoded at once take, in this process and in those that it started."""

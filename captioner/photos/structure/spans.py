"""A file made of parts of another one, which are not copied."""

import io
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import BinaryIO, cast


class _Spans(io.RawIOBase):
    def __init__(self, spans: Sequence[bytes | memoryview]) -> None:
        self._spans = spans
        self._starts = [0, *accumulate(map(len, spans))]  # where each begins, and the end
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._starts[-1]}[whence]
        if base + offset < 0:
            raise ValueError(f"expected a place from 0 on, found {base + offset}")
        self._place = base + offset
        return self._place

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        filled = 0
        while filled < len(buffer) and self._place < self._starts[-1]:
            which = bisect_right(self._starts, self._place) - 1
            part = memoryview(self._spans[which])[self._place - self._starts[which] :][: len(buffer) - filled]
            buffer[filled : filled + len(part)] = part
            filled += len(part)
            self._place += len(part)
        return filled


def as_file(spans: Sequence[bytes | memoryview]) -> BinaryIO:
    """Return a file for reading that holds the spans, one after the other."""
    return cast(BinaryIO, io.BufferedReader(_Spans(spans), 1 << 16))

"""Features of photos on disk: made once, read as a memory map, checked row by row."""

import hashlib
import math
import os
import weakref
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import DTypeLike

from captioner.errors import CaptionerError
from captioner.files import NO_ROOM, atomic_write, sweep, write_json
from captioner.locks import hold, locked_directory
from captioner.progress import progress_bar


def fingerprint(photos: Sequence[Path], *parts: str) -> str:
    """Name what a store holds: the content of the photos in their order, and whatever else made the features.

    Args:
        photos: files, read whole; one that cannot be read counts by its name.
        parts: identities of the encoder's weights, its layer, the preprocessing.

    Returns:
        32 hexadecimal digits.
    """
    whole = hashlib.blake2b("\0".join(parts).encode(), digest_size=16)
    for photo in photos:
        try:
            content = photo.read_bytes()
        except OSError:
            content = str(photo).encode()
        whole.update(hashlib.blake2b(content, digest_size=16).digest())
    return whole.hexdigest()


class FeatureStore:
    """An array of N rows of one shape in a file, features (N, L, D) mostly, of which rows may still be missing.

    `features.npy` holds the rows and `checksums.npy` the CRC-32 of each, 0 where it is missing. A row counts as
    there only when its checksum holds, so a run that was killed, or a disk that lied, costs just those rows.
    Rows are written with plain writes, not through the map: on a full disk a write says so, while a map would kill
    the process. Several processes may fill one store; each makes the rows that were missing when it opened the store.

    Args:
        directory: where the two files lie; made when missing.
        shape: that of the array, such as (N, L, D).
        about: what made the features, written beside them for people to read.
        dtype: of its numbers.

    Raises:
        CaptionerError: the disk has no room for the whole array, or the directory cannot be written to.
    """

    def __init__(
        self, directory: Path, shape: tuple[int, ...], about: dict[str, str], dtype: DTypeLike = np.float16
    ) -> None:
        self._dtype = np.dtype(dtype)
        self._features, self._checksums = directory / "features.npy", directory / "checksums.npy"
        self._row_bytes = self._dtype.itemsize * math.prod(shape[1:])
        self._size = shape[0] * self._row_bytes
        sweep(directory)
        try:
            if not self._usable(shape):
                self._make(shape, about)
        except OSError as error:
            raise self._refused(error) from error
        weakref.finalize(self, os.close, hold(self._features))  # `captioner cache` leaves it alone meanwhile
        self.features: np.ndarray = np.load(self._features, mmap_mode="r")  # (N, L, D)
        self._offset = self._features.stat().st_size - self._size
        self._sums = np.load(self._checksums)
        rows = progress_bar(self._sums, desc="compare the cache with its checksums", unit="row", delay=2, leave=False)
        good = [row_sum != 0 and row_sum == self._sum(row) for row, row_sum in enumerate(rows)]
        self.present = np.array(good, bool)

    def _make(self, shape: tuple[int, ...], about: dict[str, str]) -> None:
        """Make the files, unless another process has just done so: it fills those that it has made."""
        with locked_directory(self._features.parent):
            if not self._usable(shape):
                write_json(self._features.with_name("about.json"), about)
                _allocate(self._features, shape, self._dtype)
                _allocate(self._checksums, shape[:1], np.dtype(np.uint32))

    def missing(self) -> np.ndarray:
        """Return the numbers of the rows that are still to be made."""
        return np.flatnonzero(~self.present)

    def write(self, rows: Iterable[int], features: np.ndarray) -> None:
        """Store `features` (M, L, D), or rows of whatever shape the array has, as the `rows` (M of them).

        Raises:
            CaptionerError: the disk is full or cannot be written to; rows written before stay good.
        """
        values = np.ascontiguousarray(features, self._dtype)
        try:
            with self._features.open("rb+") as file, self._checksums.open("rb+") as sums:
                header = self._checksums.stat().st_size - 4 * len(self._sums)
                for row, value in zip(rows, values, strict=True):
                    file.seek(self._offset + row * self._row_bytes)
                    file.write(value.tobytes())
                    file.flush()
                    self._sums[row] = zlib.crc32(value) or 1
                    sums.seek(header + 4 * row)
                    sums.write(self._sums[row].tobytes())
                    self.present[row] = True
        except OSError as error:
            raise self._refused(error) from error

    def _sum(self, row: int) -> int:
        return zlib.crc32(self.features[row]) or 1

    def _usable(self, shape: tuple[int, ...]) -> bool:
        try:
            features, sums = (open_memmap(path, mode="r") for path in (self._features, self._checksums))
        except Exception:  # NumPy parses headers as Python, and a damaged one raises nearly anything
            return False
        return (features.shape, features.dtype, sums.shape) == (shape, self._dtype, shape[:1])

    def _refused(self, error: OSError) -> CaptionerError:
        reason, remedy = NO_ROOM.get(error.errno or 0, (error.strerror, "allow writing there"))
        return CaptionerError(
            f"cannot write to {self._features.parent}: {reason}; {remedy} ({self._size / 2**20:,.0f} MiB in "
            "all), or set XDG_CACHE_HOME to a disk that has it. What was made so far is kept"
        )


def _allocate(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Make a .npy file of zeros whose room on the disk is taken at once, so that a full disk shows before the work."""
    with atomic_write(path) as temporary:
        open_memmap(temporary, mode="w+", dtype=dtype, shape=shape)
        if hasattr(os, "posix_fallocate"):
            with temporary.open("rb+") as file:
                os.posix_fallocate(file.fileno(), 0, temporary.stat().st_size)

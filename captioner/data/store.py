"""Features of photos on disk: computed once, read through a memory map, and checked row by row."""

import hashlib
import math
import os
import weakref
import zlib
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import DTypeLike

from captioner.errors import CaptionerError
from captioner.photos.limits import MAX_HELD
from captioner.system.atomic import NO_ROOM, atomic_write, sweep
from captioner.system.files import open_regular, write_json
from captioner.system.locks import hold, locked_directory


def fingerprint(photos: Sequence[Path], *parts: str) -> str:
    """Return a digest of a store's content: the photos in their order, and whatever else made the features.

    Args:
        photos: files; one that cannot be read, or is too large for a photo, counts by its name.
        parts: identities of the encoder's weights, its layer, the preprocessing.

    Returns:
        32 hexadecimal digits.
    """
    whole = hashlib.blake2b("\0".join(parts).encode(), digest_size=16)
    for photo in photos:
        whole.update(_digest(photo))
    return whole.hexdigest()


def _digest(photo: Path) -> bytes:
    """Return the digest of a photo's file, or of its name where no photo could be read from it."""
    try:
        with open_regular(photo) as file:
            if os.fstat(file.fileno()).st_size <= MAX_HELD:
                return hashlib.file_digest(file, partial(hashlib.blake2b, digest_size=16)).digest()
    except OSError:
        pass
    return hashlib.blake2b(str(photo).encode(), digest_size=16).digest()


class FeatureStore:
    """An array of N rows of one shape in a file, features (N, L, D) mostly, of which rows may still be missing.

    Rows are picked like those of an array: `store[[5, 2, 9]]` is (3, L, D). `features.npy` holds them and
    `checksums.npy` the CRC-32 of each, 0 where it is missing. A row is compared with its checksum when this process
    first reads it. A damaged one is an error, and missing when the store is opened again, so a disk that lied costs
    just its rows. Rows are written with plain writes, not through the map: on a full disk a write says so, while a map
    would kill the process. Several processes may fill one store; each makes the rows that were missing when it opened
    the store.

    Attributes:
        shape: that of the array.
        dtype: of its numbers.
        present: bool (N,), the rows that were there when the store was opened, or were written since.

    Args:
        directory: where the two files lie; made when missing.
        shape: that of the array, such as (N, L, D).
        about: what made the features, written to a file for people to read.
        dtype: of its numbers.

    Raises:
        CaptionerError: the disk has no room for the whole array, or the directory cannot be written to.
    """

    def __init__(
        self, directory: Path, shape: tuple[int, ...], about: dict[str, str], dtype: DTypeLike = np.float16
    ) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._features, self._checksums = directory / "features.npy", directory / "checksums.npy"
        self._row_bytes = self.dtype.itemsize * math.prod(shape[1:])
        self._size = shape[0] * self._row_bytes
        sweep(directory)
        try:
            if not self._usable(shape):
                self._make(shape, about)
        except OSError as error:
            raise self._refused(error) from error
        weakref.finalize(self, os.close, hold(self._features))  # `captioner cache` leaves it alone meanwhile
        self._rows: np.ndarray = np.load(self._features, mmap_mode="r")  # (N, L, D)
        self._offset = self._features.stat().st_size - self._size
        self._sums: np.ndarray = np.load(self._checksums, mmap_mode="r")  # (N,), what other processes write included
        self.present = np.asarray(self._sums) != 0
        self._checked = ~self.present  # of a row that is missing there is nothing to compare

    def _make(self, shape: tuple[int, ...], about: dict[str, str]) -> None:
        """Create the files, unless another process has just done so."""
        with locked_directory(self._features.parent):
            if not self._usable(shape):
                write_json(self._features.with_name("about.json"), about)
                _allocate(self._features, shape, self.dtype)
                _allocate(self._checksums, shape[:1], np.dtype(np.uint32))

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Return rows (M, L, D), or whatever else NumPy picks by `rows` from an array of this shape.

        Those that are missing are whatever the file holds, zeros mostly.

        Raises:
            CaptionerError: a row is damaged.
        """
        first = rows[0] if isinstance(rows, tuple) else rows
        if not np.all(self._checked[first]):
            unchecked = np.unique(np.arange(len(self._checked))[first])
            for row in unchecked[~self._checked[unchecked]].tolist():
                if not self._is_good(row):
                    raise self._damaged()
                self._checked[row] = True
        return self._rows[rows]

    def _is_good(self, row: int) -> bool:
        return bool(self._sums[row] == _checksum(self._rows[row]))

    def _damaged(self) -> CaptionerError:
        """Find all damaged rows, mark them as missing, and return the error that says so."""
        bad = [row for row in np.flatnonzero(self.present).tolist() if not self._is_good(row)]
        try:
            with self._checksums.open("rb+") as sums:
                for row in bad:
                    self._write_sum(sums, row, 0)
        except OSError as error:
            return self._refused(error)
        return CaptionerError(
            f"{self._features}: {len(bad)} of {len(self.present)} rows are damaged, which an unsound disk may have "
            "done; run the same command again, which computes them again and resumes"
        )

    def missing(self) -> np.ndarray:
        """Return the numbers of the rows that are still to be made."""
        return np.flatnonzero(~self.present)

    def write(self, rows: Iterable[int], features: np.ndarray) -> None:
        """Store `features` (M, L, D), or rows of whatever shape the array has, as the `rows` (M of them).

        Raises:
            CaptionerError: the disk is full or cannot be written to; rows written before stay good.
        """
        values = np.ascontiguousarray(features, self.dtype)
        try:
            with self._features.open("rb+") as file, self._checksums.open("rb+") as sums:
                for row, value in zip(rows, values, strict=True):
                    file.seek(self._offset + row * self._row_bytes)
                    file.write(value.tobytes())
                    file.flush()
                    self._write_sum(sums, row, _checksum(value))
                    self.present[row], self._checked[row] = True, False
        except OSError as error:
            raise self._refused(error) from error

    def _write_sum(self, file: BinaryIO, row: int, value: int) -> None:
        file.seek(self._checksums.stat().st_size - 4 * len(self._sums) + 4 * row)
        file.write(np.uint32(value).tobytes())

    def _usable(self, shape: tuple[int, ...]) -> bool:
        kinds = ((self._features, shape, self.dtype), (self._checksums, shape[:1], np.dtype(np.uint32)))
        return all(_holds(*each) for each in kinds)

    def _refused(self, error: OSError) -> CaptionerError:
        reason, remedy = NO_ROOM.get(error.errno or 0, (error.strerror, "allow writing there"))
        return CaptionerError(
            f"cannot write to {self._features.parent}: {reason}; {remedy} ({self._size / 2**20:,.0f} MiB in "
            "all), or set XDG_CACHE_HOME to a disk that has it. What was made so far is kept"
        )


def _checksum(row: np.ndarray) -> int:
    """Return the CRC-32 of a row; 1 where it is 0, which says that a row is missing."""
    return zlib.crc32(row.data) or 1


def _holds(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> bool:
    """Return whether a .npy file holds an array of this shape in C's order, and nothing behind it."""
    try:
        array = open_memmap(path, mode="r")
        end = array.offset + array.nbytes
        return (array.shape, array.dtype, end) == (shape, dtype, path.stat().st_size) and array.flags.c_contiguous
    except Exception:  # NumPy parses headers as Python, and a damaged one raises nearly anything
        return False


def _allocate(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Create a .npy file of zeros and allocate its disk space at once, so that a full disk shows before the work."""
    with atomic_write(path) as temporary:
        open_memmap(temporary, mode="w+", dtype=dtype, shape=shape)
        if hasattr(os, "posix_fallocate"):
            with temporary.open("rb+") as file:
                os.posix_fallocate(file.fileno(), 0, temporary.stat().st_size)

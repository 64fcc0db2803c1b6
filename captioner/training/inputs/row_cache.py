"""Rows computed once from photos, or from other rows, and kept in the cache."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Self

import numpy as np

from captioner.data.store import FeatureStore
from captioner.errors import PhotoError
from captioner.photos.opening import open_photo
from captioner.photos.process import PhotoOpener
from captioner.system.cores import available_cores
from captioner.system.prefetch import prefetch_map
from captioner.system.progress import progress_bar


@dataclass(frozen=True)
class PhotoRows:
    """An array with rows for photos, and the photos that have none.

    Attributes:
        array: (N, ...), a store or what else gives rows as an array does; the views of a photo stand side by side.
        rows: the first row of each photo.
        bad: for each photo that has none, the reason.
        source: names photos, networks and preprocessing; "" where the rows were not made here.
        notes: lines about photos that are odd, and were read nevertheless.
    """

    array: Any
    rows: Sequence[int]
    bad: dict[int, str]
    source: str = ""
    notes: Sequence[str] = ()


class RowMaker(ABC):
    """A maker of rows for a store.

    Attributes:
        title: of the progress bar.
        rows_per_photo: how many rows the bar counts as a photo.
        threads: in how many of them `make` runs at once.
    """

    title: str
    rows_per_photo: int = 1
    threads: int = 1

    @abstractmethod
    def make(self, rows: np.ndarray, missing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return those of `rows` that could be made (M,), and their values (M, ...); none if no `missing` one could.

        `missing` are those of `rows` that are not in the store yet.
        """

    def stop(self) -> None:  # noqa: B027 (most have nothing to stop)
        """Cancel `make`, because its result is no longer needed."""


def fill(store: FeatureStore, chunks: Iterable[np.ndarray], maker: RowMaker) -> None:
    """Make the missing rows of a store, chunk by chunk. After an interruption, the next call resumes.

    A network rounds differently in batches of another size. So a chunk is made as a whole even where a part of it is
    there, and the values do not depend on where an earlier call was stopped.

    Args:
        store: which rows are there.
        chunks: the numbers of the rows that are made together.
        maker: makes them.

    Raises:
        CaptionerError: the cache cannot be written to, or `maker` raises it.
    """
    chunks = list(chunks)
    unfinished = [chunk for chunk in chunks if not store.present[chunk].all()]
    total, photos = sum(map(len, chunks)), maker.rows_per_photo
    done = total - sum(int((~store.present[chunk]).sum()) for chunk in unfinished)

    def make(chunk: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return maker.make(chunk, chunk[~store.present[chunk]])

    made = prefetch_map(make, unfinished, maker.threads, 4 * maker.threads, maker.stop)
    bar = progress_bar(total=total // photos, initial=done // photos, desc=maker.title, unit="photo", delay=2)
    with closing(made), bar:
        for chunk, (rows, values) in zip(unfinished, made, strict=True):
            done += int((~store.present[chunk]).sum())
            store.write(rows, values)
            bar.update(done // photos - bar.n)


class PhotoRowMaker(RowMaker):
    """A maker of rows from photos, each opened under a budget in a separate process.

    Use it as a context manager, which ends those processes.

    Args:
        photos: N files.
        rows_per_photo: rows of each (V).

    Attributes:
        bad: for each photo that could not be opened, the reason.
        notes: lines about photos that are odd, and were opened nevertheless.
    """

    def __init__(self, photos: Sequence[Path], rows_per_photo: int = 1) -> None:
        self.photos = photos
        self.rows_per_photo = rows_per_photo
        self.threads = available_cores()
        self.bad: dict[int, str] = {}
        self.notes: list[str] = []
        self._opener, self._stopped = PhotoOpener(), threading.Event()

    def __enter__(self) -> Self:
        """Return this maker."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes that open photos."""
        self._opener.close()

    def stop(self) -> None:
        """Close the photos that are being opened."""
        self._stopped.set()

    def make(self, rows: np.ndarray, missing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows whose photos can be opened, and their values."""
        images = self._open(missing)
        if not images:
            return np.empty(0, int), np.empty(0)
        images |= self._open(np.setdiff1d(rows, missing))
        readable = np.array(sorted(images))
        return readable, self.values(np.stack([images[row] for row in readable]))

    def _open(self, rows: np.ndarray) -> dict[int, np.ndarray]:
        images: dict[int, np.ndarray] = {}
        for number, of_photo in groupby(rows.tolist(), lambda row: row // self.rows_per_photo):
            try:
                photo = open_photo(
                    self.photos[number], opener=self._opener, cancelled=self._stopped, on_note=self.notes.append
                )
            except PhotoError as error:
                self.bad[number] = str(error)
                continue
            images |= {row: self.image(photo, number, row % self.rows_per_photo) for row in of_photo}
        return images

    @abstractmethod
    def image(self, photo: np.ndarray, number: int, view: int) -> np.ndarray:
        """Return a view of the photo of that number, uint8 (H, W, 3), as uint8 (S, S, 3)."""

    def values(self, images: np.ndarray) -> np.ndarray:
        """Return the values of images uint8 (M, S, S, 3): the images themselves, unless a network reads them."""
        return images

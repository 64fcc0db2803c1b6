"""Features in parts, as a cluster writes them for many photos; read row by row.

`python -m captioner bulk --features` writes them. A part is two files: `part-*.float16` has the numbers, a row (L, D)
for each photo that could be read, one behind the other and nothing else; `part-*.jsonl` has a line a photo with `path`,
`checksum` (CRC-32 of the row) and `error`, and is written last. `_captioner.json` says what made them.
"""

import json
import math
import zlib
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from captioner.errors import CaptionerError
from captioner.system.files import read_json

SETTINGS = "_captioner.json"
NUMBERS, LINES = "float16", "jsonl"
DTYPE = np.dtype("<f2")


class FeatureParts:
    """Rows of features (N, L, D), picked like those of an array: `parts[[5, 2, 9]]` is (3, L, D).

    They are read when they are asked for, by plain reads, and compared with their checksums. So of N photos memory
    holds names and places; what the system keeps in its cache it gives back when memory is short.

    Args:
        directory: what `bulk --features` has written.

    Raises:
        CaptionerError: it is no such directory, or damaged.
    """

    def __init__(self, directory: Path) -> None:
        about = read_json(directory / SETTINGS, "description of the features")
        if not isinstance(about, dict) or about.get("format") != "features":
            raise CaptionerError(f"{directory} holds no features; expected what `captioner bulk --features` wrote")
        self.directory = directory
        self.encoder: dict[str, Any] = about["encoder"]
        self._row_shape: tuple[int, ...] = tuple(about["shape"])
        self._row_bytes = math.prod(self._row_shape) * DTYPE.itemsize
        self._files: list[Path] = []
        self._numbers: dict[str, int] = {}
        self._errors: dict[str, str] = {}
        places: list[tuple[int, int, int]] = []
        for lines in sorted(directory.glob(f"part-*.{LINES}")):
            row = 0
            try:
                for line in lines.read_bytes().splitlines():  # text has more kinds of line ends than JSON
                    photo = json.loads(line)
                    if photo["error"] is not None:
                        self._errors[photo["path"]] = photo["error"]
                        continue
                    self._numbers[photo["path"]] = len(places)
                    places.append((len(self._files), row, photo["checksum"]))
                    row += 1
            except (OSError, ValueError, LookupError, TypeError) as error:
                raise CaptionerError(_damaged(lines)) from error
            self._files.append(lines.with_suffix(f".{NUMBERS}"))
        self._places = np.array(places, np.int64).reshape(-1, 3)  # file, row in it, checksum

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an array with these rows: (N, L, D)."""
        return (len(self._places), *self._row_shape)

    def find(self, photos: Sequence[Path]) -> tuple[list[int], dict[int, str]]:
        """Find photos by their paths, or, where none of these is known since they were elsewhere, by their names.

        Returns:
            the row of each photo, and, for each that has no features, the reason.

        Raises:
            CaptionerError: only the name fits, and several photos have it.
        """
        known = self._numbers.keys() | self._errors.keys()
        exact = [[path for path in (str(photo), str(photo.absolute())) if path in known][:1] for photo in photos]
        here = any(exact)
        by_name: dict[str, list[str]] = {}
        for path in known:
            by_name.setdefault(path.rpartition("/")[2], []).append(path)
        rows, bad = [0] * len(photos), {}
        for place, photo in enumerate(photos):
            namesakes = by_name.get(photo.name, [])
            if here and not exact[place] and namesakes:
                bad[place] = f"{photo}: no features in {self.directory}, only those of another {photo.name}"
                continue
            found = exact[place] or namesakes
            if len(found) > 1:
                raise CaptionerError(
                    f"{self.directory} has {len(found)} photos called {photo.name}, and none with the path {photo}; "
                    "make the features again, with the paths that the data set uses"
                )
            if not found:
                bad[place] = f"{photo}: no features in {self.directory}"
            elif found[0] in self._errors:
                bad[place] = f"{photo}: {self._errors[found[0]]}"
            else:
                rows[place] = self._numbers[found[0]]
        return rows, bad

    def __getitem__(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Read rows (M,) -> float16 (M, L, D).

        Raises:
            CaptionerError: a file cannot be read, or a row is damaged.
        """
        places = self._places[np.asarray(rows)]  # (M, 3)
        found = np.empty((len(places), *self._row_shape), DTYPE)
        order = np.lexsort((places[:, 1], places[:, 0]))  # so that each file is opened once
        for number, group in groupby(order.tolist(), lambda place: int(places[place, 0])):
            path = self._files[number]
            try:
                with path.open("rb", buffering=0) as file:
                    for place in group:
                        _, row, checksum = places[place].tolist()
                        file.seek(row * self._row_bytes)
                        content = file.read(self._row_bytes)
                        if len(content) != self._row_bytes or zlib.crc32(content) != checksum:
                            raise CaptionerError(_damaged(path))
                        found[place] = np.frombuffer(content, DTYPE).reshape(self._row_shape)
            except OSError as error:
                raise CaptionerError(f"cannot read features from {path}: {error.strerror}") from error
        return found


def _damaged(path: Path) -> str:
    return (
        f"{path} is damaged; delete {path.stem}.* beside it and run the same `bulk --features`, which makes them again"
    )

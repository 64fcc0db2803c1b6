"""The inputs of a run: photos by name, and shards that hold photos."""

import codecs
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
from pyarrow.fs import FileType

from captioner.bulk.limits import NAME_BYTES
from captioner.bulk.storage import Storage, reason
from captioner.bulk.tables import TableError, Tables
from captioner.errors import CaptionerError
from captioner.photos.finding import is_photo, unread_kind
from captioner.photos.kinds import passed_over

TAR, PARQUET = (".tar", ".tar.gz", ".tgz"), (".parquet",)
LIST = (".txt", ".lst", ".list")

PHOTOS_A_SHARD = 256
"""Rows of a table that are captioned together at least, where its row groups are smaller."""


@dataclass(frozen=True)
class Shard:
    """A file with many photos, which are read without unpacking it.

    Attributes:
        place: the file, WebDataset's tar or Parquet.
        column: of a table, which has the photos' bytes; empty for a tar file.
        groups: of a table, the row groups from the first to before the second.
        first_row: of a table, how many rows stand before these.
        rows: of a table, how many there are; 0 where nobody knows yet.
    """

    place: str
    column: str = ""
    groups: tuple[int, int] = (0, 0)
    first_row: int = 0
    rows: int = 0


@dataclass(frozen=True)
class Inputs:
    """The inputs that the user named.

    Attributes:
        places: files and folders, paths or URLs.
        storage: reads them.
        column: of tables, the one with the photos or with their names; empty for the likeliest.
        leave_out: a folder that is passed over when it lies in another.
        complain: takes a line about what cannot be used.
        tables: reads tables.
    """

    places: Sequence[str]
    storage: Storage
    column: str
    leave_out: str
    complain: Callable[[str], object]
    tables: Tables = field(default_factory=Tables)

    def __iter__(self) -> Iterator[str | Shard]:
        """Yield the photos' names, and the shards, always in the same order.

        A name is not checked, and may come twice. Nothing is kept, so there may be any number.
        """
        for place in self.places:
            try:
                yield from self._inside(place)
            except CaptionerError as error:
                self.complain(str(error))
            except (OSError, pa.ArrowException, ValueError) as error:
                self.complain(f"{place}: {reason(error)}")

    def _inside(self, place: str) -> Iterator[str | Shard]:
        kind = self.storage.kind(place)
        if kind is FileType.Directory:
            found = False
            unread: Counter[str] = Counter()
            for name in self.storage.walk(place.rstrip("/") or "/", self.leave_out, self.complain):
                if is_photo(os.path.basename(name)) or _ends(name, TAR + PARQUET):  # noqa: PTH119  # it may be a URL
                    found = True
                    yield from self._of_file(name)
                elif unread_name := unread_kind(os.path.basename(name)):  # noqa: PTH119
                    unread[unread_name] += 1
            for unread_name, count in sorted(unread.items()):
                self.complain(f"{place}: {passed_over(unread_name, count)}")
            if not found and not unread:
                self.complain(f"{place}: neither photos nor .tar or .parquet files in this folder")
        elif kind is FileType.NotFound:
            self.complain(f"{place}: no such file")
        elif kind is FileType.Unknown:
            self.complain(f"{place}: not a regular file")
        elif _ends(place, LIST):
            yield from self._lines(place)
        else:
            yield from self._of_file(place)

    def _of_file(self, place: str) -> Iterator[str | Shard]:
        if _ends(place, TAR):
            yield Shard(place)
        elif _ends(place, PARQUET):
            try:
                yield from self._of_table(place)
            except TableError as error:  # the others may be whole
                self.complain(str(error))
        else:
            yield place

    def _lines(self, place: str) -> Iterator[str]:
        number = 0
        with self.storage.open(place) as file:
            while line := file.readline(NAME_BYTES):
                number += 1
                if number == 1 and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                    self.complain(f"{place}: expected a list in UTF-8, found UTF-16; save it as UTF-8")
                    return
                line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                if len(line) == NAME_BYTES and not line.endswith(b"\n"):
                    self.complain(
                        f"{place}: line {number:,} is longer than {NAME_BYTES:,} bytes, expected a path or URL a line"
                    )
                    while line and not line.endswith(b"\n"):
                        line = file.readline(NAME_BYTES)
                elif name := line.decode("utf-8", "surrogateescape").rstrip("\r\n"):
                    yield name

    def _of_table(self, place: str) -> Iterator[str | Shard]:
        table = self.tables.describe(self.storage, place, self.column)
        if table.of_names:
            for group in range(len(table.rows)):
                try:
                    yield from self.tables.names(self.storage, place, table.column, group, self.complain)
                except TableError as error:
                    self.complain(str(error))
            return
        first = row = rows = 0
        for group, count in enumerate(table.rows, 1):
            rows += max(0, count)  # a damaged one may have any number
            if rows >= PHOTOS_A_SHARD or (group == len(table.rows) and rows):
                yield Shard(place, table.column, (first, group), row, rows)
                first, row, rows = group, row + rows, 0


def _ends(name: str, extensions: tuple[str, ...]) -> bool:
    return name.lower().endswith(extensions)

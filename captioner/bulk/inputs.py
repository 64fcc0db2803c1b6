"""What there is to caption: photos by their names, and shards that hold photos."""

import codecs
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.fs import FileType

from captioner.bulk.storage import Storage
from captioner.data.photos import is_photo
from captioner.errors import CaptionerError

TAR, PARQUET = (".tar", ".tar.gz", ".tgz"), (".parquet",)
LIST = (".txt", ".lst", ".list")

PHOTOS_A_SHARD = 256
"""Rows of a table that are captioned together at least, where its row groups are smaller."""

USUAL = (
    "image",
    "bytes",
    "jpg",
    "jpeg",
    "png",
    "webp",
    "content",
    "path",
    "image_path",
    "file_path",
    "filename",
    "file",
)
"""Columns that are likely to hold the photos, likeliest first."""


@dataclass(frozen=True)
class Shard:
    """Photos that lie together in one file, and are read where they lie.

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
    """What the user named.

    Attributes:
        places: files and folders, paths or URLs.
        storage: reads them.
        column: of tables, the one with the photos or with their names; empty for the likeliest.
        leave_out: a folder that is passed over when it lies in another.
        complain: takes a line about what cannot be used.
    """

    places: Sequence[str]
    storage: Storage
    column: str
    leave_out: str
    complain: Callable[[str], object]

    def __iter__(self) -> Iterator[str | Shard]:
        """Give the photos' names, and the shards, always in the same order.

        A name is not checked, and may come twice. Nothing is kept, so there may be any number.
        """
        for place in self.places:
            try:
                yield from self._inside(place)
            except (OSError, pa.ArrowException) as error:
                self.complain(f"{place}: {_reason(error)}")

    def _inside(self, place: str) -> Iterator[str | Shard]:
        kind = self.storage.kind(place)
        if kind is FileType.Directory:
            found = False
            for name in self.storage.walk(place.rstrip("/") or "/", self.leave_out, self.complain):
                if is_photo(os.path.basename(name)) or _ends(name, TAR + PARQUET):  # noqa: PTH119  # it may be a URL
                    found = True
                    yield from self._of_file(name)
            if not found:
                self.complain(f"{place}: neither photos nor .tar or .parquet files in this folder")
        elif kind is FileType.NotFound:
            self.complain(f"{place}: no such file")
        elif _ends(place, LIST):
            yield from self._lines(place)
        else:
            yield from self._of_file(place)

    def _of_file(self, place: str) -> Iterator[str | Shard]:
        try:
            if _ends(place, TAR):
                yield Shard(place)
            elif _ends(place, PARQUET):
                yield from self._of_table(place)
            else:
                yield place
        except (OSError, pa.ArrowException) as error:  # the others may be whole
            self.complain(f"{place}: {_reason(error)}")

    def _lines(self, place: str) -> Iterator[str]:
        with self.storage.open(place) as file:
            for number, line in enumerate(file):
                if number == 0 and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                    self.complain(f"{place}: expected a list in UTF-8, found UTF-16; save it as UTF-8")
                    return
                line = line.removeprefix(codecs.BOM_UTF8) if number == 0 else line
                if name := line.decode("utf-8", "surrogateescape").rstrip("\r\n"):
                    yield name

    def _of_table(self, place: str) -> Iterator[str | Shard]:
        with self.storage.open(place) as file, pq.ParquetFile(file, pre_buffer=False) as table:
            column = photo_column(table.schema_arrow, self.column, place)
            if holds_names(table.schema_arrow.field(column).type):
                for batch in table.iter_batches(columns=[column]):
                    yield from filter(None, batch.column(0).to_pylist())
                return
            counts = [table.metadata.row_group(group).num_rows for group in range(table.metadata.num_row_groups)]
        first = row = rows = 0
        for group, count in enumerate(counts, 1):
            rows += count
            if rows >= PHOTOS_A_SHARD or (group == len(counts) and rows):
                yield Shard(place, column, (first, group), row, rows)
                first, row, rows = group, row + rows, 0


def photo_column(schema: pa.Schema, wanted: str, place: str) -> str:
    """Choose the column that holds photos, bytes or names.

    Args:
        schema: of the table.
        wanted: what the user named, or "" for the likeliest: one of `USUAL`, or the only one that could be.
        place: the table, for the message.

    Raises:
        CaptionerError: there is none.
    """
    able = [field.name for field in schema if holds_names(field.type) or holds_bytes(field.type)]
    usual = [name for name in USUAL if name in able]
    chosen = [name for name in able if name == wanted] if wanted else usual[:1] or able
    if len(chosen) != 1:
        raise CaptionerError(
            f"{place}: expected {f'a column {wanted!r}' if wanted else 'a column'} with the bytes or the paths of "
            f"photos, found {', '.join(f'{field.name} ({field.type})' for field in schema)}; name one with --column"
        )
    return chosen[0]


def holds_names(kind: pa.DataType) -> bool:
    """Tell whether values of this type are text."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def holds_bytes(kind: pa.DataType) -> bool:
    """Tell whether values of this type are the bytes of files, or records with a field `bytes`, as Hugging Face has."""
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and holds_bytes(kind.field("bytes").type)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _ends(name: str, extensions: tuple[str, ...]) -> bool:
    return name.lower().endswith(extensions)


def _reason(error: Any) -> str:
    strerror = getattr(error, "strerror", None)
    return strerror[0].lower() + strerror[1:] if strerror else (str(error).splitlines() or [type(error).__name__])[0]

"""The output folder: parts that are each written whole, and found by the next run."""

import json
import re
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import IO, Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.fs import FileType

from captioner.bulk.plan import Block
from captioner.bulk.storage import Storage, is_url
from captioner.bulk.tally import LEFT_OUT, Tally
from captioner.data.feature_parts import DTYPE, LINES, NUMBERS, SETTINGS
from captioner.errors import CaptionerError, PhotoError, UsageError
from captioner.runtime.caption import Candidate, Caption
from captioner.system.locks import alone_in
from captioner.system.prefetch import prefetch_map

FEATURES = "features"
STYLES = {"parquet": "parquet", "json": LINES, FEATURES: LINES}
"""What a run can write, and the extension of its parts."""

COLUMNS = "columns"
"""The setting with the names of the columns: parts that differ in them are no one table."""

PLAN = "_plan.jsonl"
"""Names with a bar in front are passed over by what reads a folder of parts as one table."""

AT_ONCE = 16
"""Parts that are read side by side: in an object store most of the time goes by waiting."""

ROWS_AT_ONCE = 1024
"""Rows of a part that are packed together."""

SPOOLED = 16_000_000
"""Bytes of a part that are kept in memory; a larger one is kept in a temporary file until it is complete."""

SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("caption", pa.string()),
        ("score", pa.float64()),
        ("confidence", pa.float64()),
        ("familiar", pa.bool_()),
        (
            "candidates",
            pa.list_(pa.struct([("caption", pa.string()), ("score", pa.float64()), ("confidence", pa.float64())])),
        ),
        ("error", pa.string()),
        ("note", pa.string()),
    ]
)

FIRST_COLUMNS = ("path", "caption", "score", "candidates", "error", "note")
"""The columns of parts whose settings name none."""

_HALF = re.compile(r"\.\w+-(part-.*|_plan\.jsonl)")
"""Files that stand beside the place of another one, see `Storage.writing`."""

_PART = re.compile(rf"part-\d{{8,}}-([0-9a-f]{{16}})\.(parquet|{LINES}|{NUMBERS})")

Found = Caption | np.ndarray | PhotoError
"""What came of a photo: a caption, or features (L, D), or why there are none."""


@dataclass
class Row:
    """The row of a photo in a part.

    Attributes:
        path: its name, as it stands in UTF-8 text.
        found: what came of it, once that is known.
        note: what is odd about its file, which was used nevertheless.
    """

    path: str
    found: Found | None = None
    note: str | None = None

    @property
    def error(self) -> str | None:
        """Why there is neither a caption nor features."""
        return str(self.found) if isinstance(self.found, PhotoError) else None

    def as_caption(self, min_confidence: float | None = None) -> dict[str, Any]:
        """Return the fields of `SCHEMA`.

        Captions less sure than `min_confidence` are left out. If none remains, the note says why, before what is odd
        about the file.
        """
        note, familiar = self.note, None
        kept: tuple[Candidate, ...] = ()
        if isinstance(self.found, Caption):
            familiar, kept = self.found.familiar, self.found.candidates
            if min_confidence is not None:
                kept = self.found.sure_enough(min_confidence)
                if not kept:
                    note = "; ".join(filter(None, (_left_out(self.found, min_confidence), note)))
        candidates = [_as_row(each) for each in kept]
        best = candidates[0] if candidates else {"caption": None, "score": None, "confidence": None}
        about = {"familiar": familiar, "candidates": candidates, "error": self.error, "note": note}
        return {"path": self.path, **best, **about}

    def as_features(self, file: BinaryIO) -> dict[str, Any]:
        """Append the features to a file; return the fields of the line about them (`captioner.data.feature_parts`)."""
        line: dict[str, Any] = {"path": self.path, "checksum": None, "error": self.error, "note": self.note}
        if isinstance(self.found, np.ndarray):
            content = self.found.astype(DTYPE).tobytes()
            file.write(content)
            line["checksum"] = zlib.crc32(content)
        return line


def _as_row(candidate: Candidate) -> dict[str, Any]:
    """Return the fields of a candidate, those of its caption too."""
    return {"caption": candidate.text, "score": float(candidate.score), "confidence": candidate.confidence}


def _left_out(caption: Caption, min_confidence: float) -> str:
    """Say why no candidate was sure enough; what differs from photo to photo is in brackets."""
    if caption.familiar is False:
        return f"{LEFT_OUT}the photo is unlike those that the model learned from"
    surest = max(each.confidence or 0.0 for each in caption.candidates)
    return f"{LEFT_OUT}less sure than {min_confidence:g} ({surest:.3f})"


@dataclass(frozen=True)
class Output:
    """The output folder, given by its path or URL.

    Attributes:
        place: the folder.
        storage: reads and writes it.
        style: one of `STYLES`: Parquet, a line of JSON a photo, or features (`captioner.data.feature_parts`).
        min_confidence: captions less sure than this, and those of unfamiliar photos, are left out; None keeps all.
    """

    place: str
    storage: Storage
    style: str
    min_confidence: float | None = None

    def check(self, settings: dict[str, Any], overwrite: bool, parts: Mapping[str, str] | None = None) -> None:
        """Refuse a folder in which a run cannot resume.

        Args:
            settings: what it must have in common with the one before.
            overwrite: whether the parts that are there will be removed.
            parts: those that are there, if they are listed already.

        Raises:
            UsageError: there are parts that were made with other settings, or nobody knows with which, or it is no
                folder.
        """
        if self.storage.kind(self.place) is FileType.File:
            raise UsageError(f"--output {self.place}: is a file; expected a folder, or a name that is free")
        if overwrite or not (self.parts() if parts is None else parts):
            return
        try:
            before = {**json.loads(self.storage.read(self.at(SETTINGS)))}
        except (FileNotFoundError, ValueError, TypeError) as error:
            raise UsageError(
                f"--output {self.place}: {SETTINGS}, which records how the parts were made, is missing or damaged; "
                "name another folder, or give --overwrite"
            ) from error
        changed = [name for name, now in settings.items() if before.get(name) != now]
        if changed:
            differences = "; ".join(_changed(name, before.get(name), settings[name]) for name in changed)
            again = "" if COLUMNS in changed else "use the same settings, "  # which does not change the version
            raise UsageError(
                f"--output {self.place}: holds captions made with other settings ({differences}); {again}name another "
                "folder, or give --overwrite"
            )

    def alone(self) -> AbstractContextManager[None]:
        """Refuse a second run into a local folder while the block runs.

        An object store has no locks: there a run looks for the other's parts (`known_parts.KnownParts`).

        Raises:
            UsageError: another run has the folder.
        """
        place = self.place.removeprefix("file://")
        return nullcontext() if is_url(place) else alone_in(self.storage.path(place), "bulk run")

    def begin(self, settings: dict[str, Any], overwrite: bool) -> None:
        """Prepare the folder for the first part: record how it is made, and, with `overwrite`, remove its files."""
        if overwrite:
            for name in self.storage.names(self.place):
                if _PART.fullmatch(name) or name == SETTINGS:
                    self.storage.remove(self.at(name))
        self.storage.write(self.at(SETTINGS), json.dumps(settings, indent=2, ensure_ascii=False).encode() + b"\n")

    def tidy(self) -> None:
        """Remove the unfinished files of lost workers."""
        for name in self.storage.names(self.place):
            if _HALF.fullmatch(name):
                self.storage.remove(self.at(name))

    def at(self, name: str) -> str:
        """Return the path of a file in the folder."""
        return f"{self.place.rstrip('/')}/{name}"

    def part(self, block: Block) -> str:
        """Return the path of a block's part."""
        return self.at(f"{block.name}.{STYLES[self.style]}")

    def parts(self) -> dict[str, str]:
        """List the finished parts: the digest of the block, and the path."""
        found = ((_PART.fullmatch(name), name) for name in self.storage.names(self.place))
        return {match[1]: self.at(name) for match, name in found if match and match[2] != NUMBERS}

    def holds(self, block: Block) -> bool:
        """Return whether a block's part exists."""
        return self.storage.kind(self.part(block)) is FileType.File

    def write(self, block: Block, rows: Iterable[Row]) -> Tally:
        """Write a block's part atomically, and count its photos.

        Args:
            block: whose part it is.
            rows: one for each photo. They are written as they come, so that memory holds few.

        Raises:
            OSError: it cannot be written.
        """
        counted = Tally()
        numbers = self.storage.writing(self.at(f"{block.name}.{NUMBERS}")) if self.style == FEATURES else nullcontext()
        with SpooledTemporaryFile(SPOOLED) as content:
            with numbers as file, _writer(content, self.style) as write:
                for row in rows:
                    line = row.as_features(file) if file else row.as_caption(self.min_confidence)
                    write(line)
                    counted.add(Tally.of([line["error"]], [line["note"]]))
            content.seek(0)
            with self.storage.writing(self.part(block)) as part:
                shutil.copyfileobj(content, part)
        return counted

    def read(self, place: str, field: str) -> list[Any]:
        """Return one field of all rows of a part.

        Raises:
            CaptionerError: it is damaged.
        """
        content = self.storage.read(place)
        try:
            if place.endswith(".parquet"):
                # `read_table` takes four times as long for so small a file
                file = pq.ParquetFile(pa.BufferReader(content))
                return list(file.read(columns=[field], use_threads=False).column(0).to_pylist())
            return [json.loads(line)[field] for line in content.splitlines()]
        except (OSError, ValueError, LookupError, TypeError) as error:  # PyArrow's own are OSErrors too
            raise CaptionerError(f"{place} is damaged; delete it and run the same command again") from error

    def paths(self) -> Iterator[list[str]]:
        """Yield the paths of the photos in each finished part."""
        yield from prefetch_map(
            partial(self.read, field="path"), self.parts().values(), threads=AT_ONCE, lead=2 * AT_ONCE
        )

    def tally(self, block: Block) -> Tally:
        """Count the photos of a finished part."""
        return Tally.of(*(self.read(self.part(block), field) for field in ("error", "note")))


def _changed(name: str, before: Any, now: Any) -> str:
    """Describe the differences from the run before."""
    if name == COLUMNS and (missing := [each for each in now if each not in (before or FIRST_COLUMNS)]):
        return f"by another version, without the columns {', '.join(missing)}"
    return f"{name} was {before}, now {now}"


@contextmanager
def _writer(file: IO[bytes], style: str) -> Iterator[Callable[[dict[str, Any]], object]]:
    """Yield a function that writes a line or a row; a few are kept in memory and compressed together."""
    if style != "parquet":
        yield lambda line: file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        return
    rows: list[dict[str, Any]] = []
    with pq.ParquetWriter(file, SCHEMA, compression="zstd") as table:

        def flush() -> None:
            table.write_table(pa.Table.from_pylist(rows, SCHEMA))
            rows.clear()

        def write(row: dict[str, Any]) -> None:
            rows.append(row)
            if len(rows) == ROWS_AT_ONCE:
                flush()

        yield write
        if rows:
            flush()

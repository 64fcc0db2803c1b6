"""One core's share of the work: from a block of photos to a part of the output."""

import tarfile
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from captioner.ahead import ahead
from captioner.bulk.inputs import Shard
from captioner.bulk.output import FEATURES, Found, Output, Row
from captioner.bulk.plan import Block
from captioner.bulk.storage import Storage, is_url
from captioner.bulk.tally import Tally
from captioner.data.photos import PhotoError, is_photo
from captioner.files import written
from captioner.runtime.captioner import Captioner

READERS = 8
"""Photos that are fetched from an object store at once, while others are captioned: each takes long to come."""

Source = Path | bytes | PhotoError
"""Where a photo is, what it is, or why it is neither."""


class _Member(tarfile.TarInfo):
    """A file in a tar whose header is damaged, or missing at the end, is an error; `tarfile` takes it for the end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Member":
        """Read a header.

        Raises:
            tarfile.ReadError: it is none.
        """
        if buf.count(b"\0") == tarfile.BLOCKSIZE:  # the end
            return super().frombuf(buf, encoding, errors)
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from None


@dataclass(frozen=True)
class Worker:
    """Captions blocks, a photo at a time, or makes their features where the output takes these.

    Attributes:
        captioner: describes the photos.
        photos: reads them.
        output: takes what comes of them.
    """

    captioner: Captioner
    photos: Storage
    output: Output

    def __call__(self, block: Block) -> Tally:
        """Work a block off and write its part; one that is there, of a worker that was lost since, stays as it is.

        Raises:
            OSError: the part cannot be written.
        """
        if self.output.holds(block):
            return self.output.tally(block)
        return self.output.write(block, self._rows(block))

    def _rows(self, block: Block) -> Iterator[Row]:
        """Give a row for each photo, in the block's order."""
        begun: deque[Row] = deque()

        def usable() -> Iterator[Path | bytes]:
            for name, source in self._sources(block):
                begun.append(Row(written(name)))
                if isinstance(source, PhotoError):
                    begun[-1].found = source
                else:
                    yield source

        look = self.captioner.features if self.output.style == FEATURES else self.captioner.stream
        for source, found in look(usable(), threads=1):
            while begun[0].found is not None:
                yield begun.popleft()
            row = begun.popleft()
            row.found = _shortened(found, source)
            yield row
        yield from begun

    def _sources(self, block: Block) -> Iterator[tuple[str, Source]]:
        if block.shard is not None:
            return self._in_shard(block.shard)
        if any(map(is_url, block.names)):
            return ahead(self._fetched, block.names, threads=READERS, lead=2 * READERS)
        return ((name, self.photos.path(name)) for name in block.names)

    def _fetched(self, name: str) -> tuple[str, Source]:
        try:
            return name, self.photos.read(name) if is_url(name) else self.photos.path(name)
        except Exception as error:  # each of the stores has its own; whatever it is, the others go on
            return name, PhotoError(_reason(error))

    def _in_shard(self, shard: Shard) -> Iterator[tuple[str, Source]]:
        """Give the photos of a shard; where it is damaged, itself with an error in the place of the rest."""
        try:
            yield from self._in_table(shard) if shard.column else self._in_tar(shard)
        except (OSError, EOFError, tarfile.TarError, pa.ArrowException, ValueError) as error:
            yield shard.place, PhotoError(f"the shard cannot be read to its end ({_reason(error)})")

    def _in_tar(self, shard: Shard) -> Iterator[tuple[str, Source]]:
        with self.photos.open(shard.place) as file, tarfile.open(fileobj=file, mode="r|*", tarinfo=_Member) as archive:
            for member in archive:
                if member.isfile() and is_photo(member.name) and (content := archive.extractfile(member)):
                    yield f"{shard.place}/{member.name}", content.read()

    def _in_table(self, shard: Shard) -> Iterator[tuple[str, Source]]:
        row = shard.first_row
        with self.photos.open(shard.place) as file, pq.ParquetFile(file, pre_buffer=False) as table:
            beside = [name for name in ("path", "key", "__key__") if name in table.schema_arrow.names]
            columns = [shard.column, *[name for name in beside if name != shard.column][:1]]
            for batch in table.iter_batches(16, row_groups=list(range(*shard.groups)), columns=columns):
                for values in batch.select(columns).to_pylist():
                    content, name = values[shard.column], values.get(columns[-1]) if len(columns) > 1 else None
                    if isinstance(content, dict):
                        content, name = content["bytes"], content.get("path") or name
                    named = name if isinstance(name, str) and name else f"{shard.place}#{row}"
                    yield named, PhotoError("there are no bytes") if content is None else content
                    row += 1


def _shortened(found: Found, source: Path | bytes) -> Found:
    """Leave the photo's name out of an error; the row has it."""
    if not isinstance(found, PhotoError):
        return found
    return PhotoError(str(found).removeprefix(f"{source}: " if isinstance(source, Path) else "the image: "))


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    return (str(error).splitlines() or [type(error).__name__])[0]

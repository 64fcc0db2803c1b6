"""A worker on one core: a block of photos in, a part of the output out."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from captioner.bulk.inputs import Shard
from captioner.bulk.limits import GROUP_BYTES, HEADER_BYTES, NAME_BYTES, PHOTO_BYTES, size
from captioner.bulk.output import FEATURES, Output, Row
from captioner.bulk.plan import PHOTOS_A_BLOCK, Block
from captioner.bulk.storage import Storage, is_url, reason
from captioner.bulk.tables import TableError, Tables
from captioner.bulk.tally import Tally
from captioner.bulk.tar_stream import OVERSIZED, TarReader
from captioner.errors import CaptionerError, PhotoError
from captioner.photos.finding import is_photo
from captioner.runtime.captioner import Captioner
from captioner.system.file_names import written
from captioner.system.prefetch import prefetch_map

READERS = 8
"""Photos that are fetched from an object store at once, while others are captioned: each takes long to come."""

FETCHED_BYTES = 4_000_000
"""Bytes of a photo that are fetched ahead; a larger one is fetched when its turn comes, so that memory holds few."""

Source = Path | bytes | PhotoError
"""Where a photo is, what it is, or why it is neither."""


@dataclass(frozen=True)
class Worker:
    """A worker that captions blocks, or computes their features if the output is of features.

    Attributes:
        captioner: describes the photos.
        photos: reads them.
        output: takes what comes of them.
        tables: reads tables.
    """

    captioner: Captioner
    photos: Storage
    output: Output
    tables: Tables = field(default_factory=Tables)

    def __call__(self, block: Block) -> Tally:
        """Caption a block and write its part; a part that a lost worker has already written stays.

        Raises:
            OSError: the part cannot be written.
        """
        if self.output.holds(block):
            return self.output.tally(block)
        return self.output.write(block, self._rows(block))

    def _rows(self, block: Block) -> Iterator[Row]:
        """Yield a row for each photo, in the block's order."""
        sources = self._sources(block)
        while group := _group(sources):
            yield from self._captioned(group)
            group.clear()  # before the next are read

    def _captioned(self, group: Sequence[tuple[str, Source]]) -> Iterator[Row]:
        notes: dict[int, str] = {}
        self.captioner.on_note = lambda photo, note: notes.update({id(photo): note})
        look = self.captioner.features if self.output.style == FEATURES else self.captioner.stream
        found = look([source for _, source in group if not isinstance(source, PhotoError)], threads=1)
        for name, source in group:
            if isinstance(source, PhotoError):
                yield Row(written(name), source)
                continue
            result = next(found)[1]
            if isinstance(result, PhotoError):
                result = PhotoError(_shortened(str(result), source))
            note = notes.get(id(source))
            yield Row(written(name), result, note and _shortened(note, source))

    def _sources(self, block: Block) -> Iterator[tuple[str, Source]]:
        if block.shard is not None:
            return self._in_table(block.shard) if block.shard.column else self._in_tar(block.shard)
        if any(map(is_url, block.names)):
            return self._fetched(block.names)
        return ((name, self.photos.path(name)) for name in block.names)

    def _fetched(self, names: Iterable[str]) -> Iterator[tuple[str, Source]]:
        for name, source in prefetch_map(self._begin_of, names, threads=READERS, lead=2 * READERS):
            if isinstance(source, bytes) and len(source) > FETCHED_BYTES:
                yield name, self._read(name, PHOTO_BYTES)
            else:
                yield name, source

    def _begin_of(self, name: str) -> tuple[str, Source]:
        return name, self._read(name, FETCHED_BYTES) if is_url(name) else self.photos.path(name)

    def _read(self, name: str, most: int) -> Source:
        """Read a photo, and a byte more than `most` of one that is larger, which is an error beyond `PHOTO_BYTES`."""
        try:
            content = self.photos.read(name, most + 1)
        except Exception as error:  # each of the stores has its own; whatever it is, the others go on
            # Without the name, which has a column of its own: errors of one kind are counted together
            detail = str(error).removeprefix(f"{name}: ") if isinstance(error, CaptionerError) else reason(error)
            return PhotoError(detail)
        return PhotoError(f"the photo is larger than {size(PHOTO_BYTES)}") if len(content) > PHOTO_BYTES else content

    def _in_tar(self, shard: Shard) -> Iterator[tuple[str, Source]]:
        """Yield the photos of a tar file; if it is damaged, an error about the file stands for the rest."""
        try:
            with self.photos.open(shard.place) as file:
                archive = TarReader(file)
                for member in archive:
                    name = f"{shard.place}/{member.name}"
                    if member.type == OVERSIZED:
                        detail = f"a header of {size(member.size)}, expected up to {size(HEADER_BYTES)}"
                        yield name, PhotoError(f"the shard has a header that is too long ({detail})")
                    elif not member.isfile() or not is_photo(member.name):
                        continue
                    elif len(member.name) > NAME_BYTES:
                        yield f"{name[:200]}...", PhotoError(f"the name is longer than {NAME_BYTES:,} characters")
                    elif member.size > PHOTO_BYTES:
                        detail = f"the photo is larger than {size(PHOTO_BYTES)} ({size(member.size)})"
                        yield name, PhotoError(detail)
                    else:
                        yield name, archive.read(member)
        except Exception as error:  # tarfile, its decompressors and the stores raise nearly anything
            yield shard.place, PhotoError(f"the shard cannot be read to its end ({reason(error)})")

    def _in_table(self, shard: Shard) -> Iterator[tuple[str, Source]]:
        """Yield the photos of row groups; if one is damaged, an error stands for the rest of it."""
        try:
            rows = self.tables.describe(self.photos, shard.place, shard.column).rows[slice(*shard.groups)]
            if len(rows) != shard.groups[1] - shard.groups[0]:
                raise TableError(shard.place, "it has changed since the work was planned")
        except TableError as error:
            yield shard.place, PhotoError(f"the shard cannot be read ({error.reason})")
            return
        first = shard.first_row
        for group, count in enumerate(rows, shard.groups[0]):
            row = first
            try:
                for row, photo in enumerate(self.tables.photos(self.photos, shard.place, shard.column, group), first):
                    name = photo.name or f"{shard.place}#{row}"
                    yield name, PhotoError(photo.missing) if photo.missing else photo.content
                    row += 1
            except TableError as error:
                detail = f"the shard cannot be read from here to the end of its row group ({error.reason})"
                yield f"{shard.place}#{row}", PhotoError(detail)
            first += max(0, count)  # a damaged table may have any number


def _group(sources: Iterator[tuple[str, Source]]) -> list[tuple[str, Source]]:
    """Return photos that fit into memory together."""
    group: list[tuple[str, Source]] = []
    held = 0
    for name, source in sources:
        group.append((name, source))
        held += len(source) if isinstance(source, bytes) else 0
        if held >= GROUP_BYTES or len(group) == PHOTOS_A_BLOCK:
            break
    return group


def _shortened(line: str, source: Path | bytes) -> str:
    """Remove the photo's name from a message about it, since the row has it."""
    return line.removeprefix(f"{source}: " if isinstance(source, Path) else "the image: ")

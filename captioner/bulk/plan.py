"""The plan of a run: blocks of photos, each of which becomes one part of the output, whichever worker captions it."""

import json
import secrets
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from itertools import groupby, islice

from captioner.bulk.done_names import DoneNames
from captioner.bulk.inputs import Shard
from captioner.bulk.storage import Storage
from captioner.errors import CaptionerError

PHOTOS_A_BLOCK = 64
"""Some five seconds of a core: little to lose with a machine, and little to wait for at the end."""

DAMAGED = "the plan is damaged, or another run writes to the same folder; when none does, run the same command again"


@dataclass(frozen=True)
class Block:
    """A block of photos, which one worker captions.

    Attributes:
        number: where it stands in the input, so that parts sort as the input does.
        names: of photos; empty where there is a shard.
        shard: a file that holds photos.
    """

    number: int
    names: tuple[str, ...] = ()
    shard: Shard | None = None
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        """Return a digest of the content, so that the same photos always make the same part."""
        content = self.names if self.shard is None else (self.shard.place, self.shard.column, str(self.shard.groups))
        text = "\0".join(content).encode("utf-8", "surrogateescape")
        object.__setattr__(self, "digest", blake2b(text, digest_size=8).hexdigest())

    @property
    def name(self) -> str:
        """The name of its part, without an extension: `part-00000012-0f1e2d3c4b5a6978`."""
        return f"part-{self.number:08d}-{self.digest}"

    @property
    def photos(self) -> int:
        """The number of photos, as far as it is known."""
        return len(self.names) if self.shard is None else self.shard.rows

    def to_line(self) -> bytes:
        """Return the block as one line of ASCII."""
        shard = self.shard and asdict(self.shard)
        return json.dumps({"number": self.number, "names": self.names, "shard": shard}).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "Block":
        """Read what `to_line` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            found = json.loads(line)
            shard = found["shard"] and Shard(**{**found["shard"], "groups": tuple(found["shard"]["groups"])})
            block = cls(found["number"], tuple(found["names"]), shard)
            is_same = block.to_line() == line
        except (LookupError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(str(error)) from error
        if not is_same:
            raise ValueError("changed since it was written")
        return block


def cut(items: Iterable[str | Shard], seen: DoneNames, is_done: Callable[[Block], bool]) -> Iterator[Block]:
    """Split the input into blocks, without finished photos and without duplicate names and shards.

    Where blocks begin follows from the input alone, not from what is done of it. So a run that was stopped plans the
    same blocks again, and even a worker that it left behind writes nothing twice.

    Args:
        items: names of photos, and shards.
        seen: the names that are done; takes in the others.
        is_done: returns whether a shard's part is there.
    """
    number, planned = 0, set[str]()
    for of_names, run in groupby(items, lambda item: isinstance(item, str)):
        while group := list(islice(run, PHOTOS_A_BLOCK if of_names else 1)):
            if names := seen.add([item for item in group if isinstance(item, str)]):
                yield Block(number, tuple(names))
            for shard in (item for item in group if isinstance(item, Shard)):
                block = Block(number, shard=shard)
                if block.digest not in planned and not is_done(block):
                    planned.add(block.digest)
                    yield block
            number += 1


@dataclass(frozen=True)
class Plan:
    """A file with one block per line. Only the offset of each line is kept in memory, 8 bytes per block.

    Attributes:
        place: the file.
        storage: reads and writes it.
        run: stands before each line, so that nobody takes the plan of another run for this one.
    """

    place: str
    storage: Storage
    run: str = field(default_factory=lambda: secrets.token_hex(8))

    def write(self, blocks: Iterable[Block]) -> tuple["array[int]", int]:
        """Write the blocks to the file.

        Returns:
            Where each line begins and the last one ends, and how many photos there are, as far as is known.
        """
        ends, photos = array("Q", [0]), 0
        with self.storage.writing(self.place) as file:
            for block in blocks:
                line = self._prefix + block.to_line()
                file.write(line)
                ends.append(ends[-1] + len(line))
                photos += block.photos
        return ends, photos

    def read(self, begin: int, end: int) -> Iterator[tuple[int, Block]]:
        """Yield the blocks whose lines lie between two offsets in the file, each with the offset of its line.

        Raises:
            OSError: the file cannot be read.
            CaptionerError: it is damaged, or that of another run.
        """
        with self.storage.open(self.place) as file:
            file.seek(begin)
            lines = file.read(end - begin).splitlines(keepends=True)
        if sum(map(len, lines)) < end - begin:
            raise CaptionerError(f"{self.place}: {DAMAGED}")
        for line in lines:
            try:
                if not line.startswith(self._prefix):
                    raise ValueError("of another run")
                block = Block.from_line(line.removeprefix(self._prefix))
            except ValueError as error:
                raise CaptionerError(f"{self.place}: {DAMAGED}") from error
            yield begin, block
            begin += len(line)

    def remove(self) -> None:
        """Delete the plan, unless another run has replaced it."""
        with suppress(FileNotFoundError):
            if self.storage.read(self.place, len(self._prefix)) in (self._prefix, b""):
                self.storage.remove(self.place)

    @property
    def _prefix(self) -> bytes:
        return f"{self.run} ".encode()

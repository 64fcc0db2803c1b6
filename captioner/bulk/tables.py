"""Parquet tables, read in a separate process that may be lost (`captioner.bulk.table_process`)."""

import contextlib
import json
import subprocess
import weakref
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

from captioner.bulk.limits import NAME_BYTES, TABLE_MEMORY, TABLE_SECONDS, size
from captioner.bulk.storage import Storage
from captioner.bulk.table_process import TOO_LARGE, TOO_LONG
from captioner.errors import CaptionerError
from captioner.system.processes import start

Process = subprocess.Popen[bytes]


class TableError(CaptionerError):
    """A table, or a row group of it, cannot be read; the message begins with the table's name.

    Attributes:
        reason: what is wrong, without the name.
    """

    def __init__(self, place: str, reason: str) -> None:
        self.reason = reason.removeprefix(f"{place}: ")
        super().__init__(f"{place}: {self.reason}")


@dataclass(frozen=True)
class Table:
    """The columns and row groups of a table.

    Attributes:
        column: the one with photos.
        of_names: whether it has their names, and not their bytes.
        rows: of each row group, as the file claims.
    """

    column: str
    of_names: bool
    rows: list[int]


@dataclass(frozen=True)
class Photo:
    """A row of a table.

    Attributes:
        name: of the photo; "" where the table has none that can be used.
        content: its bytes, or none where there are none that can be used.
        missing: why there are none.
    """

    name: str
    content: bytes
    missing: str = ""


class Tables:
    """A reader of tables, one at a time. Its process starts with the first table, and again if it was lost."""

    def __init__(self) -> None:
        self._process: Process | None = None

    def describe(self, storage: Storage, place: str, column: str) -> Table:
        """Describe a table; `column` is the one that the user named, or "".

        Raises:
            TableError: it cannot be read.
        """
        ((line, _),) = self._ask(storage, place, column, None)
        return Table(line["column"], line["of_names"], line["rows"])

    def names(
        self, storage: Storage, place: str, column: str, group: int, complain: Callable[[str], object]
    ) -> Iterator[str]:
        """Yield the names of photos in a row group.

        Raises:
            TableError: it cannot be read to its end.
        """
        for line, _ in self._ask(storage, place, column, group):
            for name in line.get("names", ()):
                if name == "":
                    complain(f"{place}: a path in column {column!r} is longer than {NAME_BYTES:,} bytes")
                elif name is not None:
                    yield name

    def photos(self, storage: Storage, place: str, column: str, group: int) -> Iterator[Photo]:
        """Yield the photos in a row group.

        Raises:
            TableError: it cannot be read to its end.
        """
        for line, content in self._ask(storage, place, column, group):
            if "name" in line:
                yield Photo(line["name"] or "", content, line.get("missing", ""))

    def _ask(
        self, storage: Storage, place: str, column: str, group: int | None
    ) -> Generator[tuple[dict[str, Any], bytes], None, None]:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        about = {"options": storage.options, "base": storage.base, "place": place, "column": column, "group": group}
        complete = False
        try:
            with contextlib.suppress(BrokenPipeError):  # its exit status is reported below
                process.stdin.write(json.dumps(about).encode() + b"\n")
                process.stdin.flush()
            while text := process.stdout.readline():
                line = json.loads(text)
                content = process.stdout.read(line["bytes"])
                if "end" in line:
                    complete = True
                    return
                if "error" in line:
                    complete = True
                    raise TableError(place, line["error"])
                if len(content) < line["bytes"]:
                    break
                yield line, content
            raise TableError(place, _ended(process.wait()))
        finally:
            if not complete:  # it has answers left that nobody wants
                self._process = None
                _end(process)

    def _running(self) -> Process:
        if self._process is None:
            self._process = start("captioner.bulk.table_process", {"ARROW_DEFAULT_MEMORY_POOL": "system"})
            weakref.finalize(self, _end, self._process)
        return self._process


def _end(process: Process) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # what could not be written
                pipe.close()


def _ended(status: int) -> str:
    if status == TOO_LONG:
        return f"it takes more than {TABLE_SECONDS} s to read"
    if status == TOO_LARGE:
        return f"it takes more than {size(TABLE_MEMORY)} to read; write it with smaller row groups"
    return f"the process that read it was lost (status {status})"

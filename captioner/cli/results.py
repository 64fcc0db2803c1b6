"""Where results go: the terminal, a file that appears whole, or a table that grows a photo at a time."""

import contextlib
import csv
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from captioner.cli.formats import HEADING, csv_row, images_in
from captioner.errors import UsageError
from captioner.files import ODD_NAMES, naming, replacing, written
from captioner.printable import in_a_line


@contextlib.contextmanager
def opened(output: Path | None) -> Iterator[IO[str]]:
    """Give stdout, or a file that takes the place of `output` once everything is written.

    After Ctrl-C the file takes its place too, if there is anything in it.
    """
    if output is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors=ODD_NAMES)
        yield sys.stdout
        return
    stopped = None
    with (
        replacing(output, named=True) as beside,
        beside.open("w", encoding="utf-8", errors=ODD_NAMES, newline="") as file,
    ):
        try:
            yield file
        except KeyboardInterrupt as interrupt:  # whole lines are worth keeping, if there are any
            if file.seekable() and not file.tell():
                raise
            stopped = interrupt
    if stopped:
        raise stopped


def is_terminal(file: IO[str]) -> bool:
    """Tell whether people see what is written to `file` as it comes."""
    return bool(getattr(file, "isatty", bool)())


class Table:
    """A file of captions that grows by whole lines, so that what was made is there however the program ends.

    A line that a crash has cut is dropped. The next run finds the photos that are there, and goes on with the others.

    Args:
        path: the file; made when it is missing.
        style: one of `captioner.cli.formats.STYLES`.
        overwrite: start with nothing, whatever is there.

    Raises:
        UsageError: the file holds something else.
        OSError: it cannot be read or written.
    """

    def __init__(self, path: Path, style: str, overwrite: bool = False) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._style = path, style
        self._made = not path.exists()
        self._file = path.open("ab", buffering=0)
        self.images: set[str] = set()
        self._size = 0
        if not overwrite:
            content = path.read_bytes() if path.is_file() else b""
            whole = content[: content.rfind(b"\n") + 1]
            try:
                self.images = images_in(style, whole.decode("utf-8"))
                if content and not whole and not _heading(style).startswith(content.decode("utf-8")):
                    raise ValueError("there is no line in it")
            except (ValueError, csv.Error) as error:
                self._file.close()
                raise UsageError(
                    f"--output {path}: exists, but is not what --format {style} writes ({error}); name another file, "
                    "or give --overwrite"
                ) from error
            self._size = len(whole)

    def __contains__(self, photo: object) -> bool:
        """Tell whether the table holds this photo."""
        return self._name(photo) in self.images

    def write(self, photo: Path, lines: str) -> None:
        """Add the lines of a photo, all or none.

        Raises:
            OSError: the disk is full, or the file can no longer be written.
        """
        if not self._size:
            lines = _heading(self._style) + lines
        content = memoryview(lines.encode("utf-8", ODD_NAMES))
        if self._path.is_file():
            self._file.truncate(self._size)  # of what is not ours, or is half a line
        try:
            self._write(content)
        except BaseException:
            with contextlib.suppress(OSError):
                self._file.truncate(self._size)
            raise
        self._size += len(content)
        self.images.add(self._name(photo))

    def _name(self, photo: object) -> str:
        return written(in_a_line(str(photo)) if self._style == "text" else str(photo))

    def _write(self, content: memoryview) -> None:
        with naming(self._path):
            while content:
                content = content[self._file.write(content) or 0 :]

    def close(self) -> None:
        """Close the file; one that was made for nothing is removed."""
        if self._file.closed:
            return
        self._file.close()
        if self._made and not self._size and self._path.is_file() and not self._path.stat().st_size:
            self._path.unlink()

    def finish(self) -> None:
        """Say, where no photo has a caption, at least what the columns would have been."""
        if not self._size:
            content = memoryview(_heading(self._style).encode())
            if self._path.is_file():
                self._file.truncate(0)
            self._write(content)
            self._size = len(content)
            self._made = False


def _heading(style: str) -> str:
    return csv_row(HEADING) if style == "csv" else ""

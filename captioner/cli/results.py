"""Where results are written: the terminal, a file that appears whole, or a table that grows photo by photo."""

import codecs
import contextlib
import csv
import io
import os
import stat
import sys
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, cast

from captioner.cli.descriptors import stdout_is_closed
from captioner.cli.formats import HEADING, csv_row, images_in, is_whole_row, name_in
from captioner.errors import CaptionerError, UsageError
from captioner.system.atomic import atomic_write, naming
from captioner.system.file_names import ODD_NAMES
from captioner.system.locks import locked


@contextlib.contextmanager
def opened(output: Path | None) -> Iterator[IO[str]]:
    """Yield stdout, or a file that replaces `output` once everything is written.

    After Ctrl-C the file takes its place too, if there is anything in it. A file that is there stays where nothing was
    written.

    Raises:
        UsageError: `output` holds something else than text, or another process has written to it meanwhile; it stays.
    """
    if output is None:
        if stdout_is_closed():
            raise CaptionerError("stdout is closed; send the results to a file by --output")
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors=ODD_NAMES)
        yield sys.stdout
        return
    _refuse_other_content(output)
    stopped, before = None, _state(output)
    with (
        contextlib.suppress(_NothingWrittenError),
        atomic_write(output, named=True) as temporary,
        temporary.open("w", encoding="utf-8", errors=ODD_NAMES, newline="") as file,
    ):
        try:
            yield file
        except KeyboardInterrupt as interrupt:  # whole lines are worth keeping, if there are any
            if file.seekable() and not file.tell():
                raise
            stopped = interrupt
        if before and not file.tell():
            raise _NothingWrittenError
        if _state(output) != before:
            raise UsageError(
                f"--output {output}: another program has written to it meanwhile, so it is left as it is; run the "
                "command again, or name another file"
            )
    if stopped:
        raise stopped


class _NothingWrittenError(Exception):
    """There is nothing to put in the place of a file."""


def _refuse_other_content(path: Path) -> None:
    """Raise UsageError where a file is no text, such as a photo that was named by mistake."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        head = file.read(_HEAD)
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise UsageError(f"--output {path}: holds something else than text, which would be lost; name another file")


def refuse_longer_text(path: Path, lines: int) -> None:
    """Raise UsageError where a text has more lines than the captions that would take its place."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        if next(islice(file, lines, None), None) is not None:
            raise UsageError(
                f"--output {path}: has more lines than what would replace it; name another file, or give --overwrite"
            )


def _state(path: Path) -> tuple[int, ...] | None:
    """Return what changes when somebody writes to a file or puts another one in its place; None if there is none."""
    if not path.is_file():
        return None
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def is_terminal(file: IO[str]) -> bool:
    """Return whether people see what is written to `file` as it comes."""
    return bool(getattr(file, "isatty", bool)())


_HEAD = 1 << 16
"""Bytes of a file that decide whether it is text."""

_ATTEMPTS = 10
"""How often a table that other processes remove in the meantime is opened again."""

_REMEMBERED = 256
"""Bytes before the end by which a process sees that what it knows of a file is still there."""


def is_text_table(path: Path) -> bool:
    """Return whether a file holds lines of PATH<TAB>CAPTION, so that a single photo is added to them and replaces none.

    For instance, the last command of `xargs -n 10` may be left with one photo.
    """
    try:
        return path.is_file() and bool(images_in("text", path.read_text(encoding="utf-8").rstrip("\n") + "\n"))
    except (OSError, ValueError):
        return False


class Table:
    """A file of captions that grows by whole lines, so that finished captions stay however the program ends.

    Several processes may add to one file at once: each locks it while it reads what the others have added, and adds
    lines of its own. A line that a crash has cut is dropped. A run finds the photos that are there, and goes on with
    the others.

    Args:
        path: the file; made when it is missing. A pipe or a device is written to as it is.
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
        self._file = self._open()
        self._regular = stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)
        self.images: set[str] = set()
        self.nameless: Collection[Path] = ()
        self._size = 0  # bytes of whole lines that were read or written
        self._last = b""  # of them, by which they are known again
        self._replaced: tuple[int, ...] | None = None
        if overwrite:
            self._replaced = _state(path) if os.fstat(self._file.fileno()).st_size else None
            return
        try:
            self.refresh()
        except BaseException:
            self._file.close()
            raise

    def __contains__(self, photo: object) -> bool:
        """Return whether the table holds this photo; what came through a pipe is another photo each time."""
        return self._name(photo) in self.images and not (self.nameless and photo in self.nameless)

    def refresh(self) -> None:
        """Read what other processes have added.

        Raises:
            UsageError: they have written something else.
            OSError: it cannot be read.
        """
        if self._regular and not self._replaced and os.fstat(self._file.fileno()).st_size != self._size:
            with self._held():
                pass

    def write(self, photo: Path, lines: str) -> None:
        """Add the lines of a photo, all or none; none if another process was faster.

        Raises:
            UsageError: another process has written something else, or what this one was to replace.
            OSError: the disk is full, or the file can no longer be written.
        """
        with self._held():
            if photo not in self:
                self._append(lines if self._size else _heading(self._style) + lines)
                self.images.add(self._name(photo))

    def finish(self) -> None:
        """Write the header, even if no photo has a caption."""
        with self._held():
            if not self._size:
                self._append(_heading(self._style))
                self._made = False

    def close(self) -> None:
        """Close the file, and remove it if it was created and stayed empty."""
        if self._file.closed:
            return
        nothing = self._made and not self._size and self._regular
        if nothing:
            with locked(self._file.fileno()):
                self._remove_if_empty()
        self._file.close()
        if nothing and os.name == "nt":  # which removes no open file, so another process keeps its own
            self._remove_if_empty()

    def _remove_if_empty(self) -> None:
        with contextlib.suppress(OSError):
            if not self._path.stat().st_size:
                self._path.unlink()

    def _open(self) -> io.FileIO:
        mode = "ab" if self._path.exists() and not self._path.is_file() else "a+b"
        return cast(io.FileIO, self._path.open(mode, buffering=0))

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """Lock the file during the block, and read what other processes have added."""
        if not self._regular:
            yield
            return
        for attempt in range(_ATTEMPTS):
            with locked(self._file.fileno()):
                if self._is_there() or attempt + 1 == _ATTEMPTS:
                    self._read()
                    yield
                    return
            self._file.close()
            self._file = self._open()

    def _is_there(self) -> bool:
        """Return whether the open file has its name yet: while this process waited, another may have removed it."""
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            return False

    def _read(self) -> None:
        if self._replaced:
            if os.fstat(self._file.fileno()).st_size and _state(self._path) != self._replaced:
                raise UsageError(
                    f"--output {self._path}: another run has written to it since this run with --overwrite began, so "
                    "it was not changed; wait for the other run, name another file, or leave out --overwrite"
                )
            self._replaced = None
            self._file.truncate(0)
            return
        self._file.seek(self._size - len(self._last))
        content = self._file.read()
        if content.startswith(self._last):
            content = content[len(self._last) :]
        else:  # another run has started it from scratch
            self._size, self._last, self.images = 0, b"", set()
            self._file.seek(0)
            content = self._file.read()
        whole = _whole_lines(content, self._style)
        heading = _heading(self._style)
        if self._is_complete(content[len(whole) :]):  # a person has edited it
            self._write(memoryview(b"\n"))
            whole = content + b"\n"
        try:
            self.images |= images_in(self._style, (heading if self._size else "") + whole.decode("utf-8"))
            if content and not whole and not self._size and not heading.startswith(content.decode("utf-8")):
                raise ValueError("there is no line in it")
        except (ValueError, csv.Error) as error:
            raise UsageError(
                f"--output {self._path}: exists, but is not what --format {self._style} writes ({error}); name another "
                "file, or give --overwrite"
            ) from error
        self._advance(whole)

    def _is_complete(self, line: bytes) -> bool:
        """Return whether a last line without a line end is a whole row, which a crash cannot have cut.

        Raises:
            UsageError: that cannot be known, as of a caption in plain text.
        """
        try:
            text = line.decode("utf-8")
            if self._style == "text" and text.partition("\t")[2]:
                raise UsageError(
                    f"--output {self._path}: its last line has no line end, so it may have been cut: {text[:80]!r}. "
                    "Add a line end if it is whole, else delete the line, and run the same command again"
                )
            return self._style != "text" and is_whole_row(self._style, text)
        except UnicodeDecodeError:
            return False

    def _append(self, lines: str) -> None:
        content = lines.encode("utf-8", ODD_NAMES)
        if self._regular:
            self._file.truncate(self._size)  # of what is to go, or is half a line: nobody is writing one now
        try:
            self._write(memoryview(content))
        except BaseException:
            if self._regular:
                with contextlib.suppress(OSError):
                    self._file.truncate(self._size)
            raise
        self._advance(content)

    def _advance(self, content: bytes) -> None:
        self._size += len(content)
        self._last = (self._last + content[-_REMEMBERED:])[-_REMEMBERED:]

    def _name(self, photo: object) -> str:
        return name_in(self._style, str(photo))

    def _write(self, content: memoryview) -> None:
        with naming(self._path):
            while content:
                content = content[self._file.write(content) or 0 :]


def _heading(style: str) -> str:
    return csv_row(HEADING) if style == "csv" else ""


def _whole_lines(content: bytes, style: str) -> bytes:
    """Return the text without a last line that a crash has cut; a name in CSV may span several lines."""
    end = content.rfind(b"\n") + 1
    if style == "csv" and content.count(b'"', 0, end) % 2:
        begin = end
        while begin and content.count(b'"', 0, begin) % 2:
            begin = content.rfind(b"\n", 0, begin - 1) + 1
        if content.startswith(b'"', begin):
            end = begin
    return content[:end]

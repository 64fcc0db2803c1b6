"""Files on this machine's disks, or in an object store that PyArrow reaches."""

import enum
import errno
import io
import os
import re
import stat
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import BinaryIO

import pyarrow
from pyarrow.fs import FileSelector, FileSystem, FileType, LocalFileSystem

from captioner.errors import CaptionerError
from captioner.system.atomic import atomic_write
from captioner.system.folders import current_directory, folder_identity

WHOLE = ("s3", "gcs", "abfs")
"""Kinds of stores in which an object appears once all of it has arrived."""

WEB = ("http", "https", "ftp")
"""Schemes of the web, which PyArrow does not read."""

REQUEST = 8_000_000
"""Bytes that are asked of an object store at a time."""

MESSAGE = 500
"""The most characters of a library's message that are shown."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_ANSWER = re.compile(r"AWS Error (\w+)[^:]* during (\w+) operation: (.*)")
_DENIED = ("ACCESS_DENIED", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH", "INVALID_CLIENT_TOKEN_ID")
_OPTIONS = re.compile(r"\?(\w+=[^?]*)$")


class _Kind(enum.Enum):
    """The kind of an entry of a folder; LINK leads to a folder."""

    FILE, FOLDER, LINK = range(3)


def is_url(place: str) -> bool:
    """Tell a URL from a path; a drive letter is no scheme."""
    return bool(_URL.match(place))


@dataclass(frozen=True)
class Storage:
    """Reads, lists and writes files by their paths or URLs.

    A URL is taken as it stands, `s3://bucket/a photo 100%.jpg`: nothing in it is encoded.

    Attributes:
        options: what the file system of a URL is to know, as in a URL's query, `region=eu-central-1&scheme=http`; see
            PyArrow's `FileSystem.from_uri`.
        base: where relative paths begin, also in a worker that was started elsewhere.
    """

    options: str = ""
    base: str = field(default_factory=lambda: str(current_directory() or ""))

    @classmethod
    def parse(cls, typed: str) -> tuple["Storage", str]:
        """Split a typed URL, `s3://bucket/photos?region=eu-central-1`, into options and place."""
        found = _OPTIONS.search(typed) if is_url(typed) else None
        return (cls(found[1]), typed[: found.start()]) if found else (cls(), typed)

    def locate(self, place: str) -> tuple[FileSystem, str]:
        """Return the file system of a place, and its path there.

        Raises:
            CaptionerError: there is no such file system, or it cannot be reached.
        """
        if not is_url(place):
            return LocalFileSystem(), os.path.normpath(self.path(place))
        scheme, _, rest = place.partition("://")
        server, _, key = rest.partition("/")
        try:
            system, base = _file_system(f"{scheme}://{server}", self.options)
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            if scheme.lower() in WEB:
                raise CaptionerError(
                    f"{place}: an address of the web, expected a path, or a URL of an object store; download such "
                    "photos first, for instance with img2dataset, which writes tar files that this command reads"
                ) from error
            raise CaptionerError(
                f"{place}: {_first_line(error)}; expected a path, or a URL that PyArrow's file systems read, such as "
                "s3://bucket/photos or gs://bucket/photos"
            ) from error
        return system, f"{base.rstrip('/')}/{key}" if key else base

    def path(self, place: str) -> Path:
        """Return the absolute path of a local place."""
        return Path(self.base, place)

    def open(self, place: str) -> io.BufferedReader:
        """Open a file for reading with random access.

        Raises:
            OSError: it cannot be read, or is a pipe, a socket or a device, which could block a reader for ever.
        """
        system, path = self.locate(place)
        if not isinstance(system, LocalFileSystem):
            return io.BufferedReader(system.open_input_file(path), REQUEST)
        mode = os.stat(path).st_mode  # noqa: PTH116  # a name need not be text
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # which Python reports itself
            raise OSError(errno.EINVAL, "not a regular file", path)
        return Path(path).open("rb")

    def read(self, place: str, most: int = -1) -> bytes:
        """Return a file's content, or its beginning.

        Args:
            place: the file.
            most: bytes to read; -1 for all.

        Raises:
            OSError: it cannot be read.
        """
        with self.open(place) as file:
            return file.read(most)

    @contextmanager
    def writing(self, place: str) -> Iterator[BinaryIO]:
        """Yield a file to write to, which replaces an existing one when the block ends.

        Raises:
            OSError: it cannot be written.
        """
        system, path = self.locate(place)
        if isinstance(system, LocalFileSystem):
            with atomic_write(path) as temporary, temporary.open("wb") as file:
                yield file
            return
        folder, _, name = path.rpartition("/")
        appears_whole = system.type_name in WHOLE
        if not appears_whole:
            system.create_dir(folder)
        beside_path = path if appears_whole else f"{folder}/.{uuid.uuid4().hex}-{name}"
        with system.open_output_stream(beside_path) as file:
            yield file
        if not appears_whole:
            system.move(beside_path, path)

    def write(self, place: str, content: bytes) -> None:
        """Write a file atomically, replacing an existing one.

        Raises:
            OSError: it cannot be written.
        """
        with self.writing(place) as file:
            file.write(content)

    def kind(self, place: str) -> FileType:
        """Return whether there is a file, a folder, something else such as a pipe (`FileType.Unknown`), or nothing."""
        system, path = self.locate(place)
        if isinstance(system, LocalFileSystem):  # PyArrow refuses names that are no text
            try:
                mode = os.stat(path).st_mode  # noqa: PTH116
            except (OSError, ValueError):
                return FileType.NotFound
            kinds = {stat.S_IFDIR: FileType.Directory, stat.S_IFREG: FileType.File}
            return kinds.get(stat.S_IFMT(mode), FileType.Unknown)
        return system.get_file_info(path).type

    def names(self, folder: str) -> list[str]:
        """List the files of a folder, without those of its folders; a missing folder has none."""
        system, path = self.locate(folder)
        if isinstance(system, LocalFileSystem):
            try:
                with os.scandir(path) as entries:
                    return sorted(entry.name for entry in entries if entry.is_file())
            except FileNotFoundError:
                return []
        found = system.get_file_info(FileSelector(path, allow_not_found=True))
        return sorted(each.base_name for each in found if each.type is FileType.File)

    def remove(self, place: str) -> None:
        """Delete a file, if it exists."""
        system, path = self.locate(place)
        if isinstance(system, LocalFileSystem):
            Path(path).unlink(missing_ok=True)
        elif system.get_file_info(path).type is FileType.File:
            system.delete_file(path)

    def same(self, place: str, other: str) -> bool:
        """Return whether two places are one, by their names: `other` may lie in a store with other options."""
        place, other = (each.removeprefix("file://") for each in (place, other))
        if is_url(place) or is_url(other):
            return place.rstrip("/") == other.rstrip("/")
        return os.path.normpath(self.path(place)) == os.path.normpath(self.path(other))

    def walk(self, folder: str, leave_out: str, complain: Callable[[str], object]) -> Iterator[str]:
        """Yield the files of a folder and its subfolders, without hidden ones, always in the same order.

        A folder is listed when its turn comes, so that memory holds the names of one at a time, and of those above it.
        Local links to folders are followed when all else has been seen, and no folder twice (as `files.walk_once`).

        Args:
            folder: path or URL; the names given begin with it.
            leave_out: a folder that is passed over.
            complain: takes a line about a folder that cannot be listed.
        """
        seen: set[object] = set()
        linked = deque([folder])
        while linked:
            yield from self._walk(linked.popleft(), leave_out, complain, seen, linked)

    def _walk(
        self,
        folder: str,
        leave_out: str,
        complain: Callable[[str], object],
        seen: set[object],
        linked: deque[str],
    ) -> Iterator[str]:
        system, path = self.locate(folder)
        if isinstance(system, LocalFileSystem):
            identity = folder_identity(path)
            if identity in seen:
                return
            seen.add(identity)
        try:
            entries = sorted(self._entries(system, path))
        except OSError as error:
            complain(f"{folder}: {error.strerror or reason(error)}")
            return
        for name, kind in entries:
            place = f"{folder.rstrip('/')}/{name}"
            if kind is _Kind.FILE:
                yield place
            elif self.same(place, leave_out):
                continue
            elif kind is _Kind.LINK:
                linked.append(place)
            else:
                yield from self._walk(place, leave_out, complain, seen, linked)

    def _entries(self, system: FileSystem, path: str) -> Iterator[tuple[str, "_Kind"]]:
        if isinstance(system, LocalFileSystem):  # PyArrow refuses names that are no text
            with os.scandir(path) as entries:
                for entry in entries:
                    if not entry.name.startswith("."):
                        kind = _Kind.LINK if entry.is_symlink() else _Kind.FOLDER
                        yield entry.name, kind if _is_folder(entry) else _Kind.FILE
            return
        for info in system.get_file_info(FileSelector(path)):
            if not info.base_name.startswith("."):
                yield info.base_name, _Kind.FOLDER if info.type is FileType.Directory else _Kind.FILE


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself: a photo that cannot be opened
        return False


@cache
def _file_system(server: str, options: str) -> tuple[FileSystem, str]:
    system, base = FileSystem.from_uri(f"{server}/{'?' if options else ''}{options}")
    return system, base


def reason(error: BaseException) -> str:
    """Say in a line, without the file's name, why something could not be read."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    message = getattr(error, "strerror", None) or _first_line(error)
    return message[0].lower() + message[1:] if getattr(error, "strerror", None) else message


def _first_line(error: BaseException) -> str:
    line = (str(error).splitlines() or [type(error).__name__])[0][:MESSAGE]
    if not (answer := _ANSWER.search(line)):
        return line
    code, operation, detail = answer.groups()
    advice = "; docs/scale.md names the credentials and permissions that bulk needs" if code in _DENIED else ""
    return f"the object store answers {code} to {operation} ({detail}){advice}"

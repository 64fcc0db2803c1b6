"""The members of a stranger's tar file, one after the other, in bounded memory.

`tarfile` reads long names, extended headers and sparse maps into memory, whatever size they claim, remembers every
member, and unpacks .xz with as much memory as the file asks for. Here each header has a limit, nothing is remembered,
and nothing is unpacked ahead.
"""

import bz2
import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

from captioner.bulk.limits import (
    HEADER_BYTES,
    PHOTO_BYTES,
    UNPACKED_BYTES,
    UNPACKED_RATIO,
    UNPACKS_TO_MUCH,
    XZ_BYTES,
    size,
)

OVERSIZED = b"!"
"""The type of a member that was a header of more than `HEADER_BYTES`. `tarfile` does not know it and passes over it."""

_HEADERS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)

_PIECE = 1 << 20


class _Member(tarfile.TarInfo):
    """A member whose header must be whole: `tarfile` takes a damaged or missing one for the end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Member":
        """Read a header; one that would be read into memory and is too long gets the type `OVERSIZED`.

        Raises:
            tarfile.ReadError: it is none.
        """
        if buf.count(b"\0") == tarfile.BLOCKSIZE:  # the end
            return super().frombuf(buf, encoding, errors)
        try:
            member = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from None
        if member.type in _HEADERS and member.size > HEADER_BYTES:
            member.type = OVERSIZED
        return member


class _Xz(io.RawIOBase):
    """A decompressor of .xz with a limit on memory, which `lzma.LZMAFile` does not have."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._unpack = lzma.LZMADecompressor(memlimit=XZ_BYTES)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]  # typing has no name for it before 3.12
        while not self._unpack.eof:
            packed = self._file.read(1 << 16) if self._unpack.needs_input else b""
            if self._unpack.needs_input and not packed:
                raise EOFError("Compressed file ended before the end-of-stream marker was reached")
            if unpacked := self._unpack.decompress(packed, len(buffer)):
                buffer[: len(unpacked)] = unpacked
                return len(unpacked)
        return 0


class _Stream:
    """The stream that `tarfile` reads: forward only, decompressed, and with a limit on each read.

    Attributes:
        allowed: bytes that may still be read. Bytes that are passed over do not count.
    """

    def __init__(self, file: io.BufferedReader) -> None:
        self._packed = file
        self._file = _unpacked(file)
        self._position = 0
        self.allowed = 0

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> int:
        if position < self._position:
            raise tarfile.ReadError("a member that begins before the end of the one before")
        if self._file is self._packed:
            self._file.seek(position)
            self._position = position
        while self._position < position and self._take(min(_PIECE, position - self._position)):
            pass
        return self._position

    def read(self, count: int) -> bytes:
        self.allowed -= count
        if self.allowed < 0:
            raise tarfile.ReadError(f"a header of more than {size(HEADER_BYTES)}")
        return self._take(count)

    def _take(self, count: int) -> bytes:
        try:
            content = self._file.read(count)
        except (zlib.error, lzma.LZMAError) as error:
            raise tarfile.ReadError(str(error)) from None
        self._position += len(content)
        if self._position > max(UNPACKED_BYTES, UNPACKED_RATIO * self._packed.tell()) and self._file != self._packed:
            raise tarfile.ReadError(UNPACKS_TO_MUCH)
        return content


class TarReader:
    """A reader of a tar file, which may be compressed, from beginning to end.

    Args:
        file: open at its beginning.
    """

    def __init__(self, file: io.BufferedReader) -> None:
        self._stream = _Stream(file)

    def __iter__(self) -> Iterator[tarfile.TarInfo]:
        """Yield the members; the content of each can be read until the next one is requested.

        Raises:
            tarfile.TarError: the file is damaged.
            OSError: it cannot be read.
        """
        self._stream.allowed = 2 * HEADER_BYTES
        with tarfile.TarFile(fileobj=cast(BinaryIO, self._stream), tarinfo=_Member) as self._archive:
            while (member := self._archive.next()) is not None:
                self._archive.members.clear()  # type: ignore[attr-defined]  # or it would grow with every member
                self._archive.pax_headers.clear()  # type: ignore[attr-defined]  # copied for every member
                self._stream.allowed = PHOTO_BYTES + HEADER_BYTES
                yield member
                self._stream.allowed = 2 * HEADER_BYTES

    def read(self, member: tarfile.TarInfo) -> bytes:
        """Return the content of a file of at most `PHOTO_BYTES`."""
        content = io.BytesIO()  # grows in place, so that a large file is held once
        with self._archive.extractfile(member) or io.BytesIO() as file:
            while piece := file.read(_PIECE):
                content.write(piece)
        return content.getvalue()


def _unpacked(file: io.BufferedReader) -> BinaryIO:
    start = file.peek(6)[:6]
    if start.startswith(b"\x1f\x8b"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    if start.startswith(b"BZh"):
        return cast(BinaryIO, bz2.BZ2File(file))
    if start.startswith((b"\xfd7zXZ", b"\x5d\x00\x00\x80")):
        return cast(BinaryIO, io.BufferedReader(_Xz(file)))
    return file

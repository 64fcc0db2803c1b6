"""The places in a PNG that describe it: EXIF, XMP and IPTC data, and its own text "Description"."""

import struct
import zlib

from captioner.photos.metadata import iptc

START = b"\x89PNG\r\n\x1a\n"
"""How a PNG begins."""

_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_XMP, _DESCRIPTION = b"XML:com.adobe.xmp", b"Description"
_RAW_EXIF, _RAW_IPTC = b"Raw profile type exif", b"Raw profile type iptc"
_EXIF = b"Exif\0\0"
_LARGEST = 1 << 24


class PngNotes:
    """A PNG taken apart; change what is in it, and put it together.

    EXIF and IPTC data also stand in texts, in hexadecimal digits, as ImageMagick and those who follow it write them.

    Attributes:
        tiff: the EXIF data from their byte order mark on; None where there are none.
        packet: the XMP packet, or None.
        resources: Photoshop's resources, which have the IPTC data, or None.
        text: the text "Description", or None.

    Raises:
        ValueError: the file is damaged.
    """

    def __init__(self, content: bytes) -> None:
        self._chunks: list[bytes] = []
        self.tiff: bytes | None = None
        self.packet: bytes | None = None
        self.resources: bytes | None = None
        self.text: str | None = None
        raw_tiff = None
        at = len(START)
        while at < len(content):
            size, kind = struct.unpack_from(">L4s", content, at)
            body, end = content[at + 8 : at + 8 + size], at + 12 + size
            if end > len(content):
                raise ValueError("damaged: a chunk is cut")
            keyword = body.split(b"\0", 1)[0] if kind in _TEXTS else b""
            if kind == b"eXIf":
                self.tiff = body
            elif kind == b"iTXt" and keyword == _XMP:
                self.packet = _text(kind, body)
            elif keyword == _DESCRIPTION:
                text = _text(kind, body).decode("utf-8" if kind == b"iTXt" else "latin-1")
                self.text = text if self.text is None else f"{self.text}\n{text}"
            elif keyword == _RAW_EXIF:
                raw_tiff = _raw_profile(_text(kind, body)).removeprefix(_EXIF)
            elif keyword == _RAW_IPTC:
                self.resources = iptc.in_resources(_raw_profile(_text(kind, body)))
            else:
                self._chunks.append(content[at:end])
            at = end
            if kind == b"IEND":
                break
        self._rest = content[at:]
        self.tiff = raw_tiff if self.tiff is None else self.tiff

    def together(self) -> bytes:
        """Return the file: its notes behind the header, then all else in its order."""
        new = []
        if self.tiff is not None:
            new.append(_chunk(b"eXIf", self.tiff))
        if self.packet is not None:
            new.append(_chunk(b"iTXt", _XMP + bytes(5) + self.packet))
        if self.resources is not None:
            profile = f"\niptc\n{len(self.resources):8}\n{_in_lines(self.resources.hex())}\n"
            new.append(_chunk(b"zTXt", _RAW_IPTC + bytes(2) + zlib.compress(profile.encode())))
        if self.text is not None:
            new.append(_chunk(b"iTXt", _DESCRIPTION + bytes(5) + self.text.encode()))
        return b"".join([START, *self._chunks[:1], *new, *self._chunks[1:], self._rest])


def _text(kind: bytes, body: bytes) -> bytes:
    """Return the text of a chunk, whose keyword stands before it.

    Raises:
        ValueError: there is none.
    """
    _, text = body.split(b"\0", 1)
    packed = kind == b"zTXt"
    if kind == b"zTXt":
        text = text[1:]
    elif kind == b"iTXt":  # whether it is compressed and how, language, keyword in that language, text
        packed = bool(text[0])
        _, _, text = text[2:].split(b"\0", 2)
    return zlib.decompressobj().decompress(text, _LARGEST) if packed else text


def _raw_profile(text: bytes) -> bytes:
    """Return the bytes whose digits a text has in it, behind the kind of data and their number.

    Raises:
        ValueError: they are others.
    """
    _, size, *digits = text.split()
    found = bytes.fromhex(b"".join(digits).decode("ascii"))
    if len(found) != int(size):
        raise ValueError("damaged: a raw profile is cut")
    return found


def _in_lines(digits: str) -> str:
    return "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))

"""The chunks of a PNG file (W3C, Portable Network Graphics, third edition, section 5)."""

import struct
import zlib

from captioner.photos.metadata.exif import orientation
from captioner.photos.metadata.xmp_orientation import LONGEST
from captioner.photos.metadata.xmp_orientation import orientation as xmp_orientation
from captioner.photos.structure.structure import Content, Structure, count_part, number

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PALETTE = 3
_LONGEST_TABLE = 1 << 16
_TRANSPARENCY = {0: (2, _LONGEST_TABLE), 2: (6, _LONGEST_TABLE), _PALETTE: (1, 256)}  # fewest and most bytes
_XMP = b"XML:com.adobe.xmp\0"
_RAW_EXIF = b"Raw profile type exif\0"
_LONGEST_CHUNK = (1 << 31) - 1
_END = b"\0\0\0\0IEND\xaeB`\x82"


def inspect(content: Content) -> Structure:
    """Return the structure of a PNG file, with its picture in one chunk.

    Pillow does not compare the checksums of a picture's chunks, so that of the one chunk is left 0.

    Raises:
        ValueError: it does not begin with a header.
        OverflowError: it has too many chunks.
    """
    view = memoryview(content)
    if number(view, 8, 4) != 13 or view[12:16] != b"IHDR":
        raise ValueError("it does not begin with a header")
    width, height, depth, kind = (number(view, place, size) for place, size in ((16, 4), (20, 4), (24, 1), (25, 1)))
    tables: list[bytes | memoryview] = []
    picture: list[bytes | memoryview] = []
    place, parts, turned, packet, raw_exif = 33, 0, 0, b"", b""
    while place + 8 <= len(view):
        parts = count_part(parts, "chunks")
        length, name = number(view, place, 4), bytes(view[place + 4 : place + 8])
        body, after = view[place + 8 : place + 8 + length], place + 12 + length
        if name == b"IDAT":
            picture.append(body)
        elif name in (b"PLTE", b"tRNS") and length <= _LONGEST_TABLE and len(tables) < 2:
            if _is_needed(view[place:after], kind):
                tables.append(view[place:after])
        elif name == b"eXIf":
            turned = turned or orientation(body)
        elif name == b"iTXt" and body[: len(_XMP)] == _XMP:
            packet = packet or _international_text(body[len(_XMP) :])
        elif name == b"zTXt" and body[: len(_RAW_EXIF)] == _RAW_EXIF:
            raw_exif = raw_exif or _unpacked(body[len(_RAW_EXIF) + 1 :])
        elif name == b"IEND":
            break
        place = after
    length = sum(map(len, picture))
    if length > _LONGEST_CHUNK:
        raise OverflowError("it has more than two gigabytes")
    channels = _CHANNELS.get(kind, 4)
    held = width * height * (2 if depth == 16 and channels == 1 else 1 if channels == 1 else 4)
    return Structure(
        "PNG",
        (width, height),
        -(-width * channels * depth // 8) * height,
        held,
        [view[:33], *tables, struct.pack(">I", length) + b"IDAT", *picture, b"\0\0\0\0", _END],
        orientation=turned or _raw_orientation(raw_exif) or xmp_orientation(packet),
    )


def _is_needed(chunk: memoryview, kind: int) -> bool:
    """Return whether a picture of this kind needs a table, which is whole; all else stops no picture (section 13.1)."""
    if chunk[4:8] == b"PLTE":
        return kind == _PALETTE
    shortest, longest = _TRANSPARENCY.get(kind, (1, 0))
    whole = zlib.crc32(chunk[4:-4]) == number(chunk, len(chunk) - 4, 4)
    return whole and shortest <= len(chunk) - 12 <= longest


def _international_text(body: memoryview) -> bytes:
    """Return the text of an iTXt chunk after its keyword: a flag, a method, a language, a translated keyword, text."""
    start = bytes(body[:200])
    language_end = start.find(b"\0", 2)
    text = start.find(b"\0", language_end + 1) + 1 if language_end > 0 else 0
    if not text:
        return b""
    return _unpacked(body[text:]) if start[0] else bytes(body[text : text + LONGEST])


def _unpacked(packed: memoryview) -> bytes:
    """Unpack the beginning of a note, so that a bomb is none; nothing where it is damaged."""
    try:
        return zlib.decompressobj().decompress(packed[:LONGEST], LONGEST)
    except zlib.error:
        return b""


def _raw_orientation(profile: bytes) -> int:
    """Read the orientation in EXIF data as ImageMagick writes them: a name, a length, and hexadecimal digits."""
    lines = profile.split(b"\n", 3)
    try:
        exif = bytes.fromhex(lines[3].decode("ascii"))
    except (IndexError, ValueError):
        return 0
    return orientation(memoryview(exif.removeprefix(b"Exif\0\0")))

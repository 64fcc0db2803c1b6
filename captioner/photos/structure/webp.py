"""The chunks of a WebP file (RFC 9649)."""

import struct

from captioner.photos.metadata.exif import orientation
from captioner.photos.metadata.xmp_orientation import LONGEST
from captioner.photos.metadata.xmp_orientation import orientation as xmp_orientation
from captioner.photos.structure.structure import Content, Structure, count_part, number

_ALPHA, _ANIMATION = 0x10, 0x02
_HELD = 16
"""Bytes a pixel: Pillow decodes through two canvases, a frame and a copy of it."""


def inspect(content: Content) -> Structure:
    """Return the structure of a WebP file, of its first frame alone.

    Raises:
        ValueError: there is no picture in it.
        OverflowError: it has too many chunks.
    """
    view = memoryview(content)
    kept: list[bytes | memoryview] = []
    size, place, parts, turned, packet = (0, 0), 12, 0, 0, b""
    while place + 8 <= len(view):
        parts = count_part(parts, "chunks")
        name, length = bytes(view[place : place + 4]), number(view, place + 4, 4, "little")
        body, after = view[place + 8 : place + 8 + length], place + 8 + length + length % 2
        if name == b"VP8X" and not kept:
            size = 1 + number(body, 4, 3, "little"), 1 + number(body, 7, 3, "little")
            kept.append(struct.pack("<4sIB", name, length, number(body, 0, 1) & (_ALPHA | _ANIMATION)))
            kept.append(view[place + 9 : after])
        elif name in (b"VP8 ", b"VP8L", b"ANMF") and not any(_is_picture(each) for each in kept):
            size = size if any(size) else _size(name, body)
            kept.append(view[place:after])
        elif name in (b"ANIM", b"ALPH") and len(kept) < 3:
            kept.append(view[place:after])
        elif name == b"EXIF":
            turned = turned or orientation(body[6:] if body[:6] == b"Exif\0\0" else body)
        elif name == b"XMP ":
            packet = packet or bytes(body[:LONGEST])
        place = after
    if not any(_is_picture(each) for each in kept):
        raise ValueError("there is no picture in it")
    start = b"RIFF" + struct.pack("<I", 4 + sum(map(len, kept))) + b"WEBP"
    pixels = size[0] * size[1]
    return Structure(
        "WEBP", size, 4 * pixels, _HELD * pixels, [start, *kept], orientation=turned or xmp_orientation(packet)
    )


def _is_picture(chunk: bytes | memoryview) -> bool:
    return bytes(chunk[:4]) in (b"VP8 ", b"VP8L", b"ANMF")


def _size(name: bytes, body: memoryview) -> tuple[int, int]:
    """Read a picture's width and height: 14 bits each, after a start code (lossy) or a signature (lossless)."""
    if name == b"VP8 ":
        return number(body, 6, 2, "little") & 0x3FFF, number(body, 8, 2, "little") & 0x3FFF
    bits = number(body, 1, 4, "little")
    return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)

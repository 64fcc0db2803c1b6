"""The segments of a JPEG file (ITU-T T.81, annex B)."""

import re
from itertools import islice

from captioner.photos.metadata.exif import orientation
from captioner.photos.metadata.xmp_orientation import orientation as xmp_orientation
from captioner.photos.structure.structure import Content, Structure, count_part, number

# FF 00 is no marker. Any number of FF bytes may stand before one; to match them here would take their number's square.
_MARKER = re.compile(rb"\xff([^\xff\x00])", re.DOTALL)
_SCAN = re.compile(rb"\xff\xda")

_END_OF_IMAGE, _START_OF_SCAN = 0xD9, 0xDA
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
_HUFFMAN, _ARITHMETIC, _JPG = 0xC4, 0xCC, 0xC8
_FRAMES = {*range(0xC0, 0xD0)} - {_HUFFMAN, _ARITHMETIC, _JPG}
_LOSSLESS = {0xC3, 0xC7, 0xCB, 0xCF}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_TABLES = {_HUFFMAN, _ARITHMETIC, 0xDB, 0xDC, 0xDD}  # and quantisation, number of lines, restart interval
_JFIF, _ADOBE = 0xE0, 0xEE  # they tell which colours are meant

MOST_SCANS = 100_000
"""Scans that are counted."""

COEFFICIENT = 2
"""Bytes of a coefficient, which a decoder keeps for each sample where a picture comes in several scans."""


def inspect(content: Content) -> Structure:
    """Return the structure of a JPEG file.

    Raises:
        ValueError: there is no picture in it.
        OverflowError: there are too many segments before the picture.
        NotImplementedError: it is a lossless JPEG.
    """
    view = memoryview(content)
    kept: list[bytes | memoryview] = [view[:2]]
    place, parts = 2, 0
    frame: tuple[int, int, list[tuple[int, int]]] | None = None
    progressive, turned, packet = False, 0, b""
    while found := _MARKER.search(content, place):
        marker, start = found[1][0], found.end()
        parts = count_part(parts, "segments")
        if marker == _END_OF_IMAGE:
            break
        if marker in _WITHOUT_LENGTH:
            place = start
            continue
        place = start + max(2, number(view, start, 2))
        if marker in _LOSSLESS:  # decoded to a smaller size, libjpeg-turbo 3.1 writes outside of its memory
            raise NotImplementedError("a lossless JPEG, which is not read; save it anew as JPEG or PNG")
        if marker in _FRAMES:
            frame, progressive = _frame(view, start), marker in _PROGRESSIVE
        elif marker == 0xE1 and not turned and view[start + 2 : start + 8] == _EXIF:
            turned = orientation(view[start + 8 : place])
        elif marker == 0xE1 and not packet and view[start + 2 : start + 2 + len(_XMP)] == _XMP:
            packet = bytes(view[start + 2 + len(_XMP) : place])
        if marker in _FRAMES or marker in _TABLES or marker in (_JFIF, _ADOBE):
            kept.append(view[start - 2 : place])
        if marker == _START_OF_SCAN:
            if frame is None:
                break
            kept.append(view[start - 2 :])
            return _structure(kept, frame, progressive, turned or xmp_orientation(packet), view[start:])
    raise ValueError("there is no picture in it")


def _frame(view: memoryview, start: int) -> tuple[int, int, list[tuple[int, int]]]:
    """Read width, height and how often each component is sampled, across and down, in a block of the picture."""
    height, width, components = number(view, start + 3, 2), number(view, start + 5, 2), number(view, start + 7, 1)
    sampled = [number(view, start + 9 + 3 * each, 1) for each in range(components)]
    return width, height, [(byte >> 4 or 1, byte & 15 or 1) for byte in sampled]


def _structure(
    kept: list[bytes | memoryview],
    frame: tuple[int, int, list[tuple[int, int]]],
    progressive: bool,
    turned: int,
    scan: memoryview,
) -> Structure:
    width, height, sampled = frame
    across, down = max((each for each, _ in sampled), default=1), max((each for _, each in sampled), default=1)
    shares = sum(each_across * each_down for each_across, each_down in sampled) / (across * down)
    samples = int(width * height * shares)
    # Three components become four bytes in memory
    held = width * height * (1 if len(sampled) == 1 else 4)
    several = progressive or number(scan, 2, 1) < len(sampled)
    passes = 1
    if several:
        held += COEFFICIENT * samples
        passes = sum(1 for _ in islice(_SCAN.finditer(scan), MOST_SCANS)) + 1
    return Structure("JPEG", (width, height), samples, held, kept, passes, turned)

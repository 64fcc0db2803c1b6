"""The headers of a BMP file."""

import struct

from captioner.photos.structure.structure import Content, Structure, number

_PACKED = (1, 2)  # RLE8 and RLE4
_OS2 = 12

PACKED_PASSES = 1000
"""Packed pixels are unpacked in Python, which takes as long as so many passes of the other decoders."""


def inspect(content: Content) -> Structure:
    """Return the structure of a BMP file.

    Raises:
        ValueError: it ends within its header.
    """
    view = memoryview(content)
    header = number(view, 14, 4, "little")
    if header == _OS2:
        width, height, _, bits = (number(view, 18 + 2 * each, 2, "little") for each in range(4))
        packing = 0
    else:
        number(view, 14, 20)
        width, height, _, bits, packing = struct.unpack("<iiHHI", view[18:34])
    width, height = abs(width), abs(height)
    pixels = width * height
    held = pixels * (1 if bits <= 8 else 4)
    passes = PACKED_PASSES if packing in _PACKED else 1
    return Structure("BMP", (width, height), pixels * max(bits, 8) // 8, 2 * held, [view], passes)

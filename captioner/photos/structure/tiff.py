"""The first directory of a TIFF file (Adobe, TIFF revision 6.0, and the BigTIFF design), rewritten without metadata."""

import struct
from typing import NamedTuple

from captioner.photos.metadata.xmp_orientation import LONGEST
from captioner.photos.metadata.xmp_orientation import orientation as xmp_orientation
from captioner.photos.structure.structure import MOST_PARTS, Content, Structure, number

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _ORIENTATION, _SAMPLES = 256, 257, 258, 259, 274, 277
_ROWS_PER_STRIP, _TILE_WIDTH, _TILE_HEIGHT, _XMP = 278, 322, 323, 700
_NEEDED = {
    *(_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _SAMPLES, _ROWS_PER_STRIP, _TILE_WIDTH, _TILE_HEIGHT),
    *(262, 266, 273, 279, 284, 292, 293, 317, 320, 324, 325, 332, 334, 338, 339, 340, 341),
    *(347, 512, 513, 514, 519, 520, 521, 529, 530, 531, 532),
}
"""The tags that say how pixels are stored: photometry, order of bits, strips and tiles, predictor, palette, extra
samples, sample format, tables of JPEG, colour differences."""

_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_UNPACKED = 1
_SMALL = 16_000_000
_MOST_ENTRIES = 4096


class _Entry(NamedTuple):
    """An entry of a directory: its tag, its values' type, how many there are, and where they lie in the file."""

    tag: int
    kind: int
    values: int
    place: int
    written: bytes

    @property
    def length(self) -> int:
        """The bytes of all values."""
        return self.values * _BYTES.get(self.kind, 1)


class _Layout(NamedTuple):
    """How numbers are written: their order of bytes, and the sizes of classic or BigTIFF directories."""

    order: str
    big: bool

    def number(self, view: memoryview, place: int, size: int) -> int:
        return number(view, place, size, "little" if self.order == "<" else "big")

    def entries(self, view: memoryview, start: int) -> list[_Entry]:
        count_size, entry, place_size = (8, 20, 8) if self.big else (2, 12, 4)
        count = self.number(view, start, count_size)
        if count > _MOST_ENTRIES:
            raise OverflowError(f"its directory has {count:,} entries")
        found = []
        for place in range(start + count_size, start + count_size + count * entry, entry):
            tag, kind = self.number(view, place, 2), self.number(view, place + 2, 2)
            values = self.number(view, place + 4, place_size)
            inside = place + 4 + place_size
            found.append(_Entry(tag, kind, values, inside, bytes(view[place : place + entry])))
            if found[-1].length > place_size:
                found[-1] = _Entry(tag, kind, values, self.number(view, inside, place_size), found[-1].written)
        return found

    def directory(self, entries: list[_Entry]) -> bytes:
        count = struct.pack(f"{self.order}{'Q' if self.big else 'H'}", len(entries))
        return count + b"".join(each.written for each in entries) + bytes(8 if self.big else 4)

    def header(self, view: memoryview, place: int) -> bytes:
        size = 8 if self.big else 4
        return bytes(view[:size]) + struct.pack(f"{self.order}{'Q' if self.big else 'I'}", place)


def inspect(content: Content) -> Structure:
    """Return the structure of a TIFF file's first picture.

    Cameras' notes, thumbnails and further pages are left out: what Pillow is given is the file as it is, with a new
    directory at its end.

    Raises:
        ValueError: the directory is damaged, or one part of the picture is larger than all of it.
        OverflowError: it has more strips or tiles than any photo needs.
    """
    view = memoryview(content)
    layout = _Layout("<" if view[:2] == b"II" else ">", view[2:4] in (b"+\0", b"\0+"))
    start = layout.number(view, 8, 8) if layout.big else layout.number(view, 4, 4)
    entries = {entry.tag: entry for entry in layout.entries(view, start)}

    def value(tag: int, otherwise: int) -> int:
        entry = entries.get(tag)
        if entry is None or entry.kind not in (1, 3, 4, 16) or not entry.values:
            return otherwise
        return layout.number(view, entry.place, _BYTES[entry.kind])

    kept = [entry for entry in entries.values() if entry.tag in _NEEDED]
    for entry in kept:
        if entry.values > 8 * MOST_PARTS:
            raise OverflowError(f"its tag {entry.tag} has {entry.values:,} values")
    width, height = value(_WIDTH, 0), value(_HEIGHT, 0)
    samples, bits = value(_SAMPLES, 3 if value(_COMPRESSION, 1) == 6 else 1), value(_BITS, 1)
    across, down = value(_TILE_WIDTH, width), value(_TILE_HEIGHT, min(value(_ROWS_PER_STRIP, height), height))
    raw, part = (samples * -(-size[0] * bits // 8) * size[1] for size in ((width, height), (across, down)))
    if part > max(_SMALL, 2 * raw):
        raise ValueError(f"a tile of {across:,} x {down:,} pixels in a picture of {width:,} x {height:,}")
    packed = value(_COMPRESSION, _UNPACKED) != _UNPACKED
    held = width * height * (4 if samples > 1 or bits > 16 else 2 if bits > 8 else 1) + part
    packet = b""
    if (note := entries.get(_XMP)) and note.length > 8:
        packet = bytes(view[note.place : note.place + min(note.length, LONGEST)])
    end = len(view) + len(view) % 2
    header = layout.header(view, end)
    return Structure(
        "TIFF",
        (width, height),
        raw,
        held + (len(view) if packed else 0),  # what is packed is read as a whole
        [
            header,
            view[len(header) :],
            bytes(end - len(view)),
            layout.directory(sorted(kept, key=lambda each: each.tag)),
        ],
        orientation=value(_ORIENTATION, 0) or xmp_orientation(packet),
    )

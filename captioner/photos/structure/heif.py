"""The boxes of an AVIF or HEIC file (ISO/IEC 14496-12, 23008-12; AV1 Image File Format).

A file holds items: the picture, the tiles that it is made of, its transparency, and besides them thumbnails, gain maps,
depth, EXIF and XMP. Those that the picture does not need get a type that no decoder knows. All else stays in its place,
since items are found by their place in the file.
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from captioner.photos.structure.structure import Content, Structure, count_part, number

AVIF, HEIF = "AVIF", "HEIF"
_AV1, _HEVC = b"av01", b"hvc1"
_DERIVED = (b"grid", b"iden", b"iovl")
_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0", b"urn:mpeg:hevc:2015:auxid:1\0")
_DESCRIBES = b"cdsc"
_UNKNOWN = b"skip"
_SHOWN_KINDS = 3
_LONGEST_META = 1 << 25
_SEQUENCE = {b"avis": b"avif", b"hevc": b"heic", b"msf1": b"mif1"}
"""The brands of sequences, and those of the still picture in the same file, which is the first frame."""

_HELD = {AVIF: (12, 20), HEIF: (10, 14)}
"""Bytes a pixel, without and with transparency, as measured: the decoder's planes, the same in RGB, Pillow's copy."""

# How EXIF counts a turn by quarters against the clock, and then a mirror: none, top to bottom, left to right
_TURNED = {
    (0, None): 1, (1, None): 8, (2, None): 3, (3, None): 6,
    (0, 0): 4, (1, 0): 5, (2, 0): 2, (3, 0): 7,
    (0, 1): 2, (1, 1): 7, (2, 1): 4, (3, 1): 5,
}  # fmt: skip


class _Box(NamedTuple):
    """A box: its type, and where the type stands, and its content begins and ends, in the file."""

    name: bytes
    named: int
    start: int
    end: int


class _Items:
    """What the `meta` box says about the items.

    Attributes:
        primary: the number of the picture's item.
        types: of each item, and where the type stands in the file.
        needs: the items that one is derived from.
        helps: for each item, those that are auxiliary to it.
        properties: of each item, the boxes.
        notes: where the types stand of the references from notes to what they describe.
    """

    def __init__(self, view: memoryview, meta: _Box) -> None:
        self.primary: int | None = None
        self.types: dict[int, tuple[bytes, int]] = {}
        self.needs: dict[int, list[int]] = {}
        self.helps: dict[int, list[int]] = {}
        self.properties: dict[int, list[_Box]] = {}
        self.notes: list[int] = []
        self._view = view
        self._parts = 0
        for box in self._boxes(view, meta.start + 4, meta.end):
            wide = number(view, box.start, 1) if box.name in (b"pitm", b"iinf", b"iref") else 0  # its version
            if box.name == b"pitm":
                self.primary = number(view, box.start + 4, 4 if wide else 2)
            elif box.name == b"iinf":
                self._read_types(view, box.start + (8 if wide else 6), box.end)
            elif box.name == b"iref":
                self._read_references(view, box, 4 if wide else 2)
            elif box.name == b"iprp":
                self._read_properties(view, box)

    def needed(self) -> set[int]:
        """Return the items that the picture is made of, and those with the transparency of any."""
        found: set[int] = set()
        waiting = deque([self.primary] if self.primary is not None else [])
        while waiting:
            item = waiting.popleft()
            if item not in found:
                found.add(item)
                waiting += self.needs.get(item, [])
                waiting += [each for each in self.helps.get(item, []) if self._auxiliary(each) in _ALPHA]
        return found

    def property(self, item: int, name: bytes) -> _Box | None:
        """Return an item's first property of a name."""
        return next((box for box in self.properties.get(item, []) if box.name == name), None)

    def _auxiliary(self, item: int) -> bytes:
        box = self.property(item, b"auxC")
        return bytes(self._view[box.start + 4 : box.end][:64]).partition(b"\0")[0] + b"\0" if box else b""

    def _boxes(self, view: memoryview, place: int, end: int) -> Iterator[_Box]:
        for box in _boxes(view, place, end):
            self._parts = count_part(self._parts, "boxes")
            yield box

    def _read_types(self, view: memoryview, place: int, end: int) -> None:
        for box in self._boxes(view, place, end):
            version = number(view, box.start, 1)
            if box.name == b"infe" and version >= 2 and box.end - box.start >= 12:
                size = 2 if version == 2 else 4
                kind = box.start + 4 + size + 2
                self.types[number(view, box.start + 4, size)] = bytes(view[kind : kind + 4]), kind

    def _read_references(self, view: memoryview, references: _Box, size: int) -> None:
        for box in self._boxes(view, references.start + 4, references.end):
            if box.name == _DESCRIBES:
                self.notes.append(box.named)
            if box.name not in (b"dimg", b"auxl"):
                continue
            of, count = number(view, box.start, size), number(view, box.start + size, 2)
            first = box.start + size + 2
            named = [number(view, place, size) for place in range(first, first + count * size, size)]
            self._parts += count
            count_part(self._parts, "boxes")
            if box.name == b"dimg":
                self.needs.setdefault(of, []).extend(named)
            for item in named if box.name == b"auxl" else ():
                self.helps.setdefault(item, []).append(of)

    def _read_properties(self, view: memoryview, properties: _Box) -> None:
        known: list[_Box] = []
        for box in self._boxes(view, properties.start, properties.end):
            if box.name == b"ipco":
                known = list(self._boxes(view, box.start, box.end))
            elif box.name == b"ipma":
                self._associate(view, box, known)

    def _associate(self, view: memoryview, box: _Box, known: list[_Box]) -> None:
        size = 4 if number(view, box.start, 1) else 2
        index_size = 2 if number(view, box.start + 3, 1) & 1 else 1
        place = box.start + 8
        for _ in range(number(view, box.start + 4, 4)):
            self._parts = count_part(self._parts, "boxes")
            item, count = number(view, place, size), number(view, place + size, 1)
            place += size + 1
            for _ in range(count):
                index = number(view, place, index_size) & (0x7FFF if index_size == 2 else 0x7F)
                place += index_size
                if 0 < index <= len(known):
                    self.properties.setdefault(item, []).append(known[index - 1])


def inspect(content: Content) -> Structure:
    """Return the structure of an AVIF or HEIC file's picture.

    Raises:
        ValueError: there is no picture in it, or a box leads outside of the file.
        OverflowError: it has more boxes than any photo needs.
        NotImplementedError: it is a video, a sequence without a still picture, or packed in another way.
    """
    view = memoryview(content)
    first, *others = _top(view)
    meta = next((box for box in others if box.name == b"meta"), None)
    if meta is None:
        if any(box.name == b"moov" for box in others):
            raise NotImplementedError("a video, or a sequence without a still picture, expected a photo")
        raise ValueError("it ends too early")
    if meta.end - meta.start > _LONGEST_META:
        raise OverflowError(f"what it says of its parts has more than {_LONGEST_META >> 20} MiB")
    items = _Items(view, meta)
    if items.primary is None or items.primary not in items.types:
        raise ValueError("there is no picture in it")
    needed = items.needed()
    written = bytearray(view[meta.start : meta.end])
    unneeded = [place for item, (_, place) in items.types.items() if item not in needed]
    for place in (*unneeded, *items.notes):
        written[place - meta.start : place - meta.start + 4] = _UNKNOWN
    return _structure(
        view, items, needed, [_header(view, first), view[first.end : meta.start], written, view[meta.end :]]
    )


def _structure(
    view: memoryview, items: _Items, needed: set[int], spans: list[bytes | memoryview | bytearray]
) -> Structure:
    assert items.primary is not None
    kinds = {items.types[item][0] for item in needed if item in items.types} - {*_DERIVED}
    if kinds not in ({_AV1}, {_HEVC}):
        named = ", ".join(sorted(kind.decode("latin-1") for kind in kinds)[:_SHOWN_KINDS]) or "nothing"
        raise NotImplementedError(f"a picture packed as {named}, expected AV1 or HEVC; save it anew as JPEG or PNG")
    format = AVIF if kinds == {_AV1} else HEIF
    sizes = [_size(view, items, item) for item in needed if item in items.types]
    width, height = _size(view, items, items.primary)
    largest = max(across * down for across, down in sizes)
    deep = any(_is_deep(view, items, item) for item in needed)
    clear = any(items.property(item, b"auxC") for item in needed)
    decoded = max(width * height, largest)  # the tiles of a grid reach over its edges
    turned = _orientation(view, items) if format == AVIF else 1  # libheif turns pictures itself, Pillow's AVIF does not
    return Structure(
        format,
        (width, height),
        decoded * (4 if clear else 3) * (2 if deep else 1),
        decoded * (_HELD[format][clear] + 4 * deep),
        [bytes(span) if isinstance(span, bytearray) else span for span in spans],
        max(1, -(-sum(across * down for across, down in sizes) // (width * height or 1))),
        turned,
    )


def _top(view: memoryview) -> list[_Box]:
    """Return the boxes that lie in no other; the first is the file's type."""
    found: list[_Box] = []
    for box in _boxes(view, 0, len(view)):
        count_part(len(found), "boxes")
        found.append(box)
    return found


def _boxes(view: memoryview, place: int, end: int) -> Iterator[_Box]:
    """Yield the boxes one after the other; a last one that leads outside ends with what is around it."""
    end = min(end, len(view))
    while place + 8 <= end:
        length, name, start = number(view, place, 4), bytes(view[place + 4 : place + 8]), place + 8
        if length == 1:
            length, start = number(view, place + 8, 8), place + 16
        after = end if length == 0 else place + length
        if after < start:
            raise ValueError(f"a box of {length} bytes")
        yield _Box(name, place + 4, start, min(after, end))
        place = after


def _header(view: memoryview, box: _Box) -> bytes:
    """Return the file's type, without the brands of sequences: of one the still picture is read."""
    content = bytes(view[: box.end])
    brands = [content[place : place + 4] for place in range(box.start, box.end - 3, 4)]
    brands[1:2] = [content[box.start + 4 : box.start + 8]]  # the version
    rest = content[box.start + 4 * len(brands) :]
    return content[: box.start] + b"".join(_SEQUENCE.get(brand, brand) for brand in brands) + rest


def _size(view: memoryview, items: _Items, item: int) -> tuple[int, int]:
    box = items.property(item, b"ispe")
    if box is None:
        raise ValueError("it does not say how large the picture is")
    return number(view, box.start + 4, 4), number(view, box.start + 8, 4)


def _is_deep(view: memoryview, items: _Items, item: int) -> bool:
    """Return whether an item has more than 8 bits a channel, or does not say."""
    box = items.property(item, b"pixi")
    if box is None:
        return items.types.get(item, (b"", 0))[0] not in _DERIVED
    count = number(view, box.start + 4, 1)
    return any(bits > 8 for bits in view[box.start + 5 : box.start + 5 + count])


def _orientation(view: memoryview, items: _Items) -> int:
    assert items.primary is not None
    turn, mirror = items.property(items.primary, b"irot"), items.property(items.primary, b"imir")
    quarters = number(view, turn.start, 1) & 3 if turn else 0
    return _TURNED[quarters, number(view, mirror.start, 1) & 1 if mirror else None]

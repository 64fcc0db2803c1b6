"""The blocks of a GIF file (CompuServe, Graphics Interchange Format, version 89a)."""

from captioner.photos.structure.structure import Content, Structure, count_part, number

_IMAGE, _EXTENSION, _TRAILER = 0x2C, 0x21, 0x3B
_GRAPHIC_CONTROL = 0xF9
_MOST_LINKS = 2_000_000


def inspect(content: Content) -> Structure:
    """Return the structure of a GIF file's first frame.

    Raises:
        ValueError: there is no frame in it.
        OverflowError: too many blocks stand before the first frame.
    """
    view = memoryview(content)
    width, height = number(view, 6, 2, "little"), number(view, 8, 2, "little")
    place = 13 + _table(number(view, 10, 1))
    start, control = view[:place], view[:0]
    parts = 0
    while place < len(view) and view[place] != _TRAILER:
        parts = count_part(parts, "blocks")
        if view[place] == _IMAGE:
            left, top, across, down = (number(view, place + 1 + 2 * each, 2, "little") for each in range(4))
            # A frame that is larger than the screen enlarges it
            size = max(width, left + across), max(height, top + down)
            pixels = size[0] * size[1]
            return Structure("GIF", size, pixels, 5 * pixels, [start, control, view[place:]])
        if view[place] != _EXTENSION:  # Pillow passes over what it does not know
            place += 1
            continue
        begun, place = place, _after_extension(view, place)
        if view[begun + 1] == _GRAPHIC_CONTROL:
            control = view[begun:place]
    raise ValueError("there is no picture in it")


def _after_extension(view: memoryview, place: int) -> int:
    """Return where the block after an extension begins, which is a chain of smaller blocks."""
    place += 2
    for _ in range(_MOST_LINKS):
        length = number(view, place, 1)
        place += 1 + length
        if not length:
            return place
    raise OverflowError(f"a note in it has more than {_MOST_LINKS:,} parts")


def _table(flags: int) -> int:
    """Return the bytes of a colour table, by the flags that describe it."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0

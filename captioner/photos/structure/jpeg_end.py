"""Tell a JPEG that lacks only its end marker from one that is cut.

Where a file ends before its end marker, a decoder fills up with zeros whatever is missing. What it makes of the file
with other bytes at its end must be the same picture if no pixel is missing. Two things need a look of their own, since
a decoder passes over strange bytes there: whole scans may be missing, and whole intervals between restart markers.
"""

import re
from collections.abc import Sequence

from captioner.photos.structure.jpeg import MOST_SCANS
from captioner.photos.structure.structure import number

_MARKER = re.compile(rb"\xff([^\xff\x00])", re.DOTALL)
_RESTARTS = range(0xD0, 0xD8)
_SCAN, _INTERVAL = 0xDA, 0xDD
_FRAMES = (0xC0, 0xC1, 0xC2)  # coded by Huffman: what else there is has no such end
_END = b"\xff\xd9"
_COEFFICIENTS = 64
_FILLED = 1 << 12
_PADDING = 4  # times the same byte


def endings(spans: Sequence[bytes | memoryview]) -> list[bytes]:
    """Return the bytes to put in the place of the end marker, one after the other: all pictures must be the same.

    The first is the end marker alone. The list is empty where scans are missing.

    Args:
        spans: the parts that a decoder is given; the last begins with the first scan.
    """
    *tables, scans = spans
    components, progressive = 0, False
    interval = 0
    for table in tables:
        marker = table[1]
        if marker in _FRAMES:
            components, progressive = number(memoryview(table), 9, 1), marker == 0xC2
        elif marker == _INTERVAL:
            interval = number(memoryview(table), 4, 2)
    view = memoryview(scans)
    missing = {(component, place) for component in range(components) for place in range(_COEFFICIENTS)}
    numbers: dict[int, int] = {}
    restarts = scan_count = place = 0
    while found := _MARKER.search(view, place):
        marker, place = found[1][0], found.end()
        if marker in _RESTARTS:
            restarts += 1
        elif marker == _INTERVAL:
            interval = number(view, place + 2, 2)
        elif marker == _SCAN:
            restarts, scan_count = 0, scan_count + 1
            if scan_count > MOST_SCANS:
                return []
            missing -= _finished(view[place:], progressive, numbers)
        if marker not in _RESTARTS and place + 2 <= len(view):
            place += number(view, place, 2)
    if missing or not components:
        return []
    filled = [b"\xaa" * _FILLED, b"\x55" * _FILLED]
    if interval:  # the decoder passes over all that is not the next marker
        filled.append(bytes([0xFF, _RESTARTS[restarts % 8]]) + filled[0])
    return [_END, *(each + _END for each in filled)]


def lacks_end(scans: bytes | memoryview) -> bool:
    """Return whether there is no end marker behind the first scan."""
    return bytes(scans[-2:]) != _END and not re.search(_END, scans)


def without_padding(scans: bytes | memoryview) -> memoryview:
    """Return the scans without the first half of a marker at their end, or bytes that fill up a file that was cut.

    A decoder takes zeros for pixels.
    """
    view = memoryview(scans)
    end = len(view)
    while end and view[end - 1] == view[-1]:
        end -= 1
    if view[-1] != 0xFF and len(view) - end < _PADDING:
        return view
    return view[: end + 1] if view[-1] == 0 and end and view[end - 1] == 0xFF else view[:end]  # FF 00 are one byte


def _finished(header: memoryview, progressive: bool, numbers: dict[int, int]) -> set[tuple[int, int]]:
    """Return the coefficients, as (component, place), whose last bit a scan brings."""
    count = number(header, 2, 1)
    components = [numbers.setdefault(number(header, 3 + 2 * each, 1), len(numbers)) for each in range(count)]
    first, last, bits = (number(header, 3 + 2 * count + each, 1) for each in range(3))
    if not progressive:
        first, last, bits = 0, _COEFFICIENTS - 1, 0
    if bits & 15:
        return set()
    return {(component, place) for component in components for place in range(first, min(last, 63) + 1)}

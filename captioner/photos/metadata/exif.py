"""The orientation and the description in a photo's EXIF data, which are a TIFF file themselves."""

import struct

IMAGE_DESCRIPTION, ASCII = 0x010E, 2
ORIENTATION, NUMBERS = 0x0112, {1: "B", 3: "H", 4: "L", 6: "b", 8: "h", 9: "l"}
_EMPTY = b"II*\0\x08\0\0\0" + bytes(6)  # no entries, and no directory after this one


def orientation(tiff: bytes | memoryview) -> int:
    """Return the orientation in EXIF data, 1 to 8; 0 if there is none.

    Only the first directory is read, and of it only the one entry, so that nothing else in it takes memory.

    Args:
        tiff: the data, from the byte order mark on.
    """
    order = {b"II": "<", b"MM": ">"}.get(bytes(tiff[:2]))
    if order is None:
        return 0
    try:
        (start,) = struct.unpack_from(f"{order}L", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for place in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, values = struct.unpack_from(f"{order}HHL", tiff, place)
            if tag == ORIENTATION and kind in NUMBERS and values == 1:
                (value,) = struct.unpack_from(order + NUMBERS[kind], tiff, place + 8)
                return value if 1 <= value <= 8 else 0
    except struct.error:  # the directory leads outside of the data
        return 0
    return 0


def description(tiff: bytes | None) -> str:
    """Return the ImageDescription of EXIF data, without the zeros behind it; "" if there is none.

    Args:
        tiff: the data, from the byte order mark on; None for none.

    Raises:
        ValueError: the data are damaged.
    """
    if tiff is None:
        return ""
    order, entries, _ = _first_directory(tiff)
    for entry in entries:
        tag, _, size, place = struct.unpack(f"{order}HHLL", entry)
        if tag == IMAGE_DESCRIPTION:
            value = entry[8 : 8 + size] if size <= 4 else tiff[place : place + size]
            if len(value) != size:
                raise ValueError("the description leads outside of the data")
            return _decoded(value.partition(b"\0")[0])
    return ""


def with_description(tiff: bytes | None, text: str) -> bytes:
    """Return EXIF data whose ImageDescription is `text`.

    All that is there stays where it is, since cameras' own notes hold places in the file that no one can correct: a
    copy of the first directory with the new entry goes to the end, and the header names it.

    Args:
        tiff: the data, from its byte order mark on; None makes new ones.
        text: written in UTF-8, as most programs read it, though the standard says ASCII.

    Raises:
        ValueError: the data are damaged.
    """
    tiff = _EMPTY if tiff is None else tiff
    order, entries, after = _first_directory(tiff)
    value = text.encode() + b"\0"
    place = len(tiff) + len(tiff) % 2  # offsets are even
    entries = [entry for entry in entries if struct.unpack_from(f"{order}H", entry) != (IMAGE_DESCRIPTION,)]
    if len(value) > 4:
        entries.append(struct.pack(f"{order}HHLL", IMAGE_DESCRIPTION, ASCII, len(value), place))
    else:  # so short a value stands in the entry
        entries.append(struct.pack(f"{order}HHL4s", IMAGE_DESCRIPTION, ASCII, len(value), value))
    entries.sort(key=lambda entry: struct.unpack_from(f"{order}H", entry))
    value += bytes(len(value) % 2)
    directory = struct.pack(f"{order}H", len(entries)) + b"".join(entries) + after
    header = tiff[:4] + struct.pack(f"{order}L", place + len(value))
    return header + tiff[8:].ljust(place - 8, b"\0") + value + directory


def _first_directory(tiff: bytes) -> tuple[str, list[bytes], bytes]:
    """Return the byte order as `struct` names it, the directory's entries, and the place of the next directory.

    Raises:
        ValueError: the data are damaged.
    """
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    try:
        if order is None or struct.unpack_from(f"{order}H", tiff, 2) != (42,):
            raise ValueError("expected a TIFF header")
        (start,) = struct.unpack_from(f"{order}L", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        entries = [bytes(struct.unpack_from("12s", tiff, start + 2 + 12 * number)[0]) for number in range(count)]
        return order, entries, struct.unpack_from("4s", tiff, start + 2 + 12 * count)[0]
    except struct.error as error:
        raise ValueError(f"a directory leads outside of the data ({error})") from error


def _decoded(value: bytes) -> str:
    """Read a text, which most programs write in UTF-8, and some as Windows does."""
    for encoding in ("utf-8", "cp1252"):
        try:
            return value.decode(encoding)
        except UnicodeDecodeError:
            continue
    return value.decode("latin-1")

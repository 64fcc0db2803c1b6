"""The Caption-Abstract of a photo's IPTC data (IIM 4.2), and where a JPEG keeps those: in Photoshop's resources."""

import hashlib
import struct
from typing import NamedTuple

PHOTOSHOP = b"Photoshop 3.0\0"
"""How the JPEG segments (APP13) begin that hold Photoshop's resources."""

_IPTC, _DIGEST = 0x0404, 0x0425
_SIGNATURES = (b"8BIM", b"AgHg", b"DCSR", b"MeSa", b"PHUT")
_MARK, _LARGEST = 0x1C, 0x7FFF
_ENVELOPE, _APPLICATION = 1, 2  # records
_CHARACTER_SET, _CAPTION = (_ENVELOPE, 90), (_APPLICATION, 120)
_VERSIONS_AND_PICTURES = (0, 125, 200, 201, 202)  # of the second record: what is no text
_UTF_8 = b"\x1b%G"
_CHARACTER_SETS = {_UTF_8: "utf-8", b"\x1b.A": "latin-1", b"\x1b-A": "latin-1", b"\x1b(B": "ascii"}


class _DataSet(NamedTuple):
    """A numbered value of a record."""

    number: tuple[int, int]
    value: bytes


class _Resource(NamedTuple):
    """One of Photoshop's resources; `name` is as it stands in the file, padded."""

    signature: bytes
    number: int
    name: bytes
    value: bytes


def caption(resources: bytes) -> str | None:
    """Return the Caption-Abstract (2:120) in Photoshop's resources.

    Args:
        resources: what follows `PHOTOSHOP`, of all segments.

    Returns:
        The text; "" where the IPTC data have no text; None where there are no IPTC data.

    Raises:
        ValueError: the data are damaged.
    """
    found = [each.value for each in _resources(resources)[0] if each.number == _IPTC]
    if not found:
        return None
    sets, _ = _data_sets(found[0])
    texts = [each.value for each in sets if each.number == _CAPTION]
    return _decoded(texts[0], _marked(sets)) if texts else ""


def with_caption(resources: bytes, text: str) -> bytes:
    """Return Photoshop's resources, whose IPTC data have `text` as their Caption-Abstract; all else is kept.

    Text beyond ASCII makes the data UTF-8, marked as such (1:90), with the other texts in them.

    Args:
        resources: see `caption`; without IPTC data in them they are returned as they are.
        text: the caption.

    Raises:
        ValueError: the data are damaged, in a character set that is not known, or have no room for the text.
    """
    found, rest = _resources(resources)
    old = next((each.value for each in found if each.number == _IPTC), None)
    if old is None:
        return resources
    new = _with_caption(old, text)
    digest = hashlib.md5(old, usedforsecurity=False).digest()
    changed = b""
    for each in found:
        value = each.value
        if each.number == _IPTC and value == old:
            value = new
        elif each.number == _DIGEST and value == digest:  # else another program changed the data, and readers may know
            value = hashlib.md5(new, usedforsecurity=False).digest()
        changed += each.signature + struct.pack(">H", each.number) + each.name + struct.pack(">L", len(value))
        changed += value + bytes(len(value) % 2)
    return changed + rest


def in_resources(data: bytes) -> bytes:
    """Return IPTC data as Photoshop's resources; other data, such as resources, as they are."""
    if data[:1] != bytes([_MARK]):
        return data
    return b"8BIM" + struct.pack(">HHL", _IPTC, 0, len(data)) + data + bytes(len(data) % 2)


def _resources(content: bytes) -> tuple[list[_Resource], bytes]:
    """Take the resources apart, and return what stands behind them too."""
    found, at = [], 0
    while content[at : at + 4] in _SIGNATURES:
        try:
            number, name_size = struct.unpack_from(">HB", content, at + 4)
            name_end = at + 6 + (1 + name_size + 1) // 2 * 2
            (size,) = struct.unpack_from(">L", content, name_end)
        except struct.error as error:
            raise ValueError(f"its IPTC data are cut ({error})") from error
        start = name_end + 4
        if start + size > len(content):
            raise ValueError("its IPTC data are cut")
        found.append(_Resource(content[at : at + 4], number, content[at + 6 : name_end], content[start : start + size]))
        at = min(start + size + size % 2, len(content))
    return found, content[at:]


def _with_caption(content: bytes, text: str) -> bytes:
    sets, rest = _data_sets(content)
    sets = [each for each in sets if each.number != _CAPTION]
    if not text.isascii() and _marked(sets) != _UTF_8:
        sets = _in_utf_8(sets)
    value = text.encode()
    if len(value) > _LARGEST:
        raise ValueError(f"its IPTC data hold descriptions of {_LARGEST} bytes at most")
    place = next((n for n, each in enumerate(sets) if each.number > _CAPTION), len(sets))
    sets.insert(place, _DataSet(_CAPTION, value))
    return b"".join(_written(each) for each in sets) + rest


def _in_utf_8(sets: list[_DataSet]) -> list[_DataSet]:
    """Turn the texts of the second record into UTF-8, and put its mark into the first one."""
    marked = _marked(sets)
    changed = []
    for each in sets:
        record, number = each.number
        if record == _APPLICATION and number not in _VERSIONS_AND_PICTURES and not each.value.isascii():
            if marked and marked not in _CHARACTER_SETS:
                raise ValueError("its IPTC data are in a character set that is not known")
            changed.append(_DataSet(each.number, _decoded(each.value, marked).encode()))
        elif each.number != _CHARACTER_SET:
            changed.append(each)
    place = next((n for n, each in enumerate(changed) if each.number > _CHARACTER_SET), len(changed))
    return [*changed[:place], _DataSet(_CHARACTER_SET, _UTF_8), *changed[place:]]


def _marked(sets: list[_DataSet]) -> bytes:
    """Return the mark of the character set, empty if there is none."""
    return next((each.value for each in sets if each.number == _CHARACTER_SET), b"")


def _decoded(value: bytes, marked: bytes) -> str:
    """Read a text; one without a mark is mostly in UTF-8 or as Windows writes it."""
    for encoding in [_CHARACTER_SETS[marked]] if marked in _CHARACTER_SETS else ["utf-8", "cp1252"]:
        try:
            return value.decode(encoding)
        except UnicodeDecodeError:
            continue
    return value.decode("latin-1")


def _data_sets(content: bytes) -> tuple[list[_DataSet], bytes]:
    """Take IPTC data apart, and return what stands behind them too, which is padding."""
    found, at = [], 0
    while at < len(content) and content[at] == _MARK:
        try:
            record, number, size = struct.unpack_from(">BBH", content, at + 1)
            start = at + 5
            if size > _LARGEST:  # so many bytes tell the size
                start += size & _LARGEST
                size = int.from_bytes(content[at + 5 : start], "big")
        except struct.error as error:
            raise ValueError(f"its IPTC data are cut ({error})") from error
        if start + size > len(content):
            raise ValueError("its IPTC data are cut")
        found.append(_DataSet((record, number), content[start : start + size]))
        at = start + size
    return found, content[at:]


def _written(data: _DataSet) -> bytes:
    size = len(data.value)
    head = struct.pack(">BBB", _MARK, *data.number)
    long = size > _LARGEST
    return head + (struct.pack(">HL", 0x8004, size) if long else struct.pack(">H", size)) + data.value

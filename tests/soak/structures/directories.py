"""TIFF directories, which EXIF notes are too: bombs, cycles and chains."""

import random
import struct
from collections.abc import Sequence
from typing import NamedTuple

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
ORIENTATION = 0x0112


class Entry(NamedTuple):
    """An entry of a directory: its values, or where they lie and how many they claim to be."""

    tag: int
    type: int
    values: Sequence[int] = ()
    at: int | None = None
    count: int | None = None


class Form(NamedTuple):
    """How a directory is written: byte order, and 64-bit offsets or not."""

    order: str = "<"
    big: bool = False

    def header(self, first: int | None = None) -> bytes:
        mark = b"II" if self.order == "<" else b"MM"
        if self.big:
            return mark + struct.pack(f"{self.order}HHHQ", 43, 8, 0, 16 if first is None else first)
        return mark + struct.pack(f"{self.order}HL", 42, 8 if first is None else first)

    @property
    def start(self) -> int:
        return 16 if self.big else 8

    def length(self, entries: int) -> int:
        """Bytes of a directory of so many entries."""
        return 8 + 20 * entries + 8 if self.big else 2 + 12 * entries + 4

    def directory(self, entries: Sequence[Entry], at: int, following: int = 0) -> tuple[bytes, bytes]:
        """Give a directory to lie at an offset, and the values that lie right behind it."""
        word, most = ("Q", 8) if self.big else ("L", 4)
        body, values = [], bytearray()
        behind = at + self.length(len(entries))
        for entry in entries:
            count = len(entry.values) if entry.count is None else entry.count
            if entry.at is not None:
                field = struct.pack(f"{self.order}{word}", entry.at)
            else:
                letter = {1: "B", 2: "B", 3: "H", 4: "L", 5: "L", 7: "B", 13: "L", 16: "Q", 18: "Q"}[entry.type]
                packed = struct.pack(f"{self.order}{len(entry.values)}{letter}", *entry.values)
                if len(packed) <= most:
                    field = packed.ljust(most, b"\0")
                else:
                    field = struct.pack(f"{self.order}{word}", behind + len(values))
                    values += packed
            body.append(struct.pack(f"{self.order}HH{word}", entry.tag, entry.type, count) + field)
        counted = struct.pack(f"{self.order}{'Q' if self.big else 'H'}", len(entries))
        return counted + b"".join(body) + struct.pack(f"{self.order}{word}", following), bytes(values)

    def file(self, entries: Sequence[Entry], following: int = 0) -> bytes:
        """Give a header and one directory with its values."""
        return self.header() + b"".join(self.directory(entries, self.start, following))


def tag_bomb(form: Form, tags: int, blob: int, kind: int, orientation: int = 6) -> bytes:
    """Entries that all point at one blob, the orientation among them."""
    behind = form.start + form.length(tags + 1)
    numbers = [tag for tag in range(0x8000, 0x10000) if tag not in (0x8769, 0x8825, 0x927C)][:tags]
    bombs = [Entry(tag, kind, at=behind, count=blob // SIZES[kind]) for tag in numbers]
    entries = [Entry(ORIENTATION, 3, [orientation]), *bombs]
    return form.file(entries) + b"\1" * blob


def exif_cycle(form: Form, pointers: Sequence[int]) -> bytes:
    """A directory whose pointers and whose next directory are itself."""
    entries = [Entry(ORIENTATION, 3, [6]), *(Entry(tag, 4, [form.start]) for tag in pointers)]
    return form.file(entries, following=form.start)


def exif_chain(form: Form, directories: int) -> bytes:
    """Directories of one entry, each of which points to the next as its Exif directory and as its next."""
    length = form.length(2)
    parts = [form.header()]
    for number in range(directories):
        at = form.start + (number + 1) * length
        entries = [Entry(ORIENTATION, 3, [1]), Entry(0x8769, 4, [at])]
        parts.append(form.directory(entries, at - length, at)[0])
    return b"".join(parts)


def maker_note(form: Form, note: bytes) -> bytes:
    """Notes of a camera, in its Exif directory."""
    second = form.start + form.length(2)
    first = form.directory([Entry(ORIENTATION, 3, [6]), Entry(0x8769, 4, [second])], form.start)[0]
    behind = second + form.length(1)
    return form.header() + first + form.directory([Entry(0x927C, 7, at=behind, count=len(note))], second)[0] + note


def fuji_note(entries: int, blob: int) -> bytes:
    """Fujifilm's notes, whose directory Pillow reads: entries that point at one blob."""
    behind = 12 + 2 + 12 * entries
    body = b"".join(struct.pack("<HHLL", 0x1000 + number, 7, blob, behind) for number in range(entries))
    return b"FUJIFILM" + struct.pack("<LH", 12, entries) + body + b"\1" * blob


def exif_of(kind: str, size: int, draw: random.Random) -> bytes:
    """Notes of a kind, of about so many bytes."""
    form = Form(draw.choice("<>"))
    if kind.startswith("bomb"):
        number = int(kind.removeprefix("bomb"))
        blob = max(8, size // 2)
        return tag_bomb(form, min(32_000, max(1, (size - blob) // 12)), blob, number, draw.randrange(1, 9))
    if kind == "cycle":
        return exif_cycle(form, [0x8769, 0x8825, 0xA005, 0x014A])
    if kind == "chain":
        return exif_chain(form, max(1, size // 30))
    if kind == "maker":
        return maker_note(form, draw.randbytes(16) * (size // 16))
    if kind == "fuji":
        return maker_note(form, fuji_note(min(60_000, size // 24), size // 2))
    if kind == "repeated":  # one tag again and again
        count = min(65_000, size // 24)
        behind = form.start + form.length(count)
        return form.file([Entry(ORIENTATION, 7, at=behind, count=size // 2)] * count) + b"\1" * (size // 2)
    raise ValueError(kind)


EXIF_KINDS = ("bomb1", "bomb2", "bomb3", "bomb5", "bomb7", "bomb12", "cycle", "chain", "maker", "fuji", "repeated")

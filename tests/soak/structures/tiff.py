"""TIFF: tiles and strips larger than the picture, directories without end, and strips that unpack."""

import io
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from PIL import Image

from .case import MEGABYTE, Case
from .directories import EXIF_KINDS, Entry, Form, exif_cycle, exif_of
from .jpeg import picture
from .streams import deflated, packbits, tiff_lzw

_PACKERS = {
    "raw": (1, lambda size: b""),
    "lzw": (5, tiff_lzw),
    "deflate": (8, lambda size: deflated(bytes(100_000), size // 100_000 + 1)),
    "packbits": (32773, packbits),
    "packbits_short": (32773, lambda size: packbits(8_000)),
    "g3": (3, lambda size: b"\0\x35" * 2_000),
    "g4": (4, lambda size: b"\xff" * (size // 400 + 100)),
    "rle": (2, lambda size: b"\x35" * 1_000),
    "jpeg": (7, lambda size: b""),
    "old_jpeg": (6, lambda size: b""),
    "lzma": (34925, lambda size: b"\xfd7zXZ\0" + bytes(100)),
    "zstd": (50000, lambda size: b"\x28\xb5\x2f\xfd\0\x58" + b"\2\0\x10\0"[1:] * 100),
}


class Layout(NamedTuple):
    """How the pixels are written; `number` is the format of a sample, 1 unsigned, 2 signed, 3 a float."""

    width: int
    height: int
    channels: int = 3
    bits: int = 8
    number: int = 1

    def entries(self, compression: int) -> list[Entry]:
        colours = {1: 1, 2: 1, 3: 2, 4: 2}[self.channels]
        listed = [
            Entry(256, 4, [self.width]),
            Entry(257, 4, [self.height]),
            Entry(258, 3, [self.bits] * self.channels),
            Entry(259, 3, [compression]),
            Entry(262, 3, [colours]),
            Entry(277, 3, [self.channels]),
            Entry(339, 3, [self.number] * self.channels),
        ]
        if self.channels in (2, 4):
            listed.append(Entry(338, 3, [2]))
        return listed


def file(form: Form, entries: Sequence[Entry], data: bytes, offset_tags: Sequence[int], following: int = 0) -> bytes:
    """Give a file whose entries of these tags, with no values, point at the data behind the directory."""
    listed = sorted(entries, key=lambda entry: entry.tag)
    for _ in range(2):  # once to learn the length, once with the offsets
        made = form.file(listed, following)
        listed = [
            entry._replace(values=[len(made)] * max(1, len(entry.values))) if entry.tag in offset_tags else entry
            for entry in listed
        ]
    return form.file(listed, following) + data


def strip(form: Form, layout: Layout, compression: str, rows: int | None = None, more: Sequence[Entry] = ()) -> bytes:
    """Give a file of one strip."""
    number, packer = _PACKERS[compression]
    size = layout.width * layout.height * layout.channels * layout.bits // 8
    data = _jpeg(layout) if "jpeg" in compression else bytes(size) if compression == "raw" else packer(size)
    entries = [
        *layout.entries(number),
        Entry(273, 4, [0]),
        Entry(278, 4, [rows or layout.height]),
        Entry(279, 4, [len(data)]),
        *more,
    ]
    return file(form, entries, data, (273,))


def tile(form: Form, layout: Layout, compression: str, across: int, down: int, planar: int = 1) -> bytes:
    """Give a file of one tile, of another size than the picture."""
    number, packer = _PACKERS[compression]
    size = across * down * layout.channels * layout.bits // 8
    data = _jpeg(Layout(across, down, layout.channels)) if "jpeg" in compression else packer(size) or bytes(1_000)
    count = layout.channels if planar == 2 else 1
    entries = [
        *layout.entries(number),
        Entry(284, 3, [planar]),
        Entry(322, 4, [across]),
        Entry(323, 4, [down]),
        Entry(324, 4, [0] * count),
        Entry(325, 4, [len(data)] * count),
    ]
    return file(form, entries, data, (324,))


def _jpeg(layout: Layout) -> bytes:
    colours = {1: "grey", 2: "grey", 3: "rgb", 4: "cmyk"}[layout.channels]
    scan = b"".join(struct.pack(">BBHBBBBBB", 0xFF, 0xDA, 8, 1, n + 1, 0, 0, 63, 0) for n in range(layout.channels))
    return picture(0xC0, min(layout.width, 65_500), min(layout.height, 65_500), colours, scan)


def _progressive(layout: Layout, scans: int) -> bytes:
    first = struct.pack(">BBHBBBBBB", 0xFF, 0xDA, 8, 1, 1, 0, 0, 0, 0)
    again = struct.pack(">BBHBBBBBB", 0xFF, 0xDA, 8, 1, 1, 0, 1, 63, 0)
    return picture(0xC2, layout.width, layout.height, "grey", first + again * scans)


def _rows(form: Form, height: int, width: int, compression: str) -> bytes:
    """Give a file of one strip a row, all of which are the same bytes of the file."""
    number, packer = _PACKERS[compression]
    data = bytes(width) if compression == "raw" else packer(width)
    entries = [
        *Layout(width, height, 1).entries(number),
        Entry(273, 4, [0] * height),
        Entry(278, 4, [1]),
        Entry(279, 4, [len(data)] * height),
    ]
    return file(form, entries, data, (273,))


def _small(form: Form, more: Sequence[Entry]) -> bytes:
    return strip(form, Layout(32, 32), "raw", more=more)


def _chained(form: Form, directories: int, cycle: bool = False) -> bytes:
    """Give a file of many directories, the last of which points nowhere or back to the first."""
    entries = sorted(
        [*Layout(1, 1, 1).entries(1), Entry(273, 4, [8]), Entry(278, 4, [1]), Entry(279, 4, [1])],
        key=lambda entry: entry.tag,
    )
    length = form.length(len(entries))
    parts = [form.header()]
    for number in range(directories):
        at = form.start + number * length
        last = number == directories - 1
        parts.append(form.directory(entries, at, (form.start if cycle else 0) if last else at + length)[0])
    return b"".join(parts)


def _bomb(form: Form, tags: int, blob: int, kind: int) -> bytes:
    """Give a small picture with entries that all point at one blob."""
    sizes = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 12: 8}
    bombs = [
        Entry(0x9000 + n, kind, at=20 + (20 if form.big else 12) * tags, count=blob // sizes[kind]) for n in range(tags)
    ]
    return strip(form, Layout(32, 32), "raw", more=bombs) + b"\1" * blob


def _giants() -> Iterator[Case]:
    for big in (False, True):
        form = Form("<", big)
        word = "big" if big else "classic"
        for compression in _PACKERS:
            for channels, bits in ((1, 1), (1, 8), (3, 8), (4, 16)):
                side = {1: 64_000, 8: 46_000}[bits] if channels == 1 else 26_000 if channels == 3 else 16_000
                if compression in ("g3", "g4", "rle") and bits != 1:
                    continue
                if (compression in ("packbits", "lzw") and (channels, bits) != (3, 8)) or (
                    "jpeg" in compression and bits != 8
                ):
                    continue
                layout = Layout(64, 64, channels, bits)
                yield Case(
                    "tiff_giant_tile",
                    f"tiff_giant_tile-{compression}_{channels}x{bits}_{word}.tif",
                    lambda draw, p=layout, c=compression, s=side, f=form: tile(f, p, c, s // 16 * 16, s // 16 * 16),
                )
        for across, down in ((2_000_000_000, 16), (16, 120_000_000), (1_000_000, 1_008)):
            for compression in ("raw", "packbits_short", "deflate"):
                if compression == "deflate" and across * down > 2_000_000_000:
                    continue
                yield Case(
                    "tiff_long_tile",
                    f"tiff_long_tile-{across}x{down}_{compression}_{word}.tif",
                    lambda draw, c=compression, s=(across, down), f=form: tile(f, Layout(64, 64, 1), c, *s),
                )
        yield Case(
            "tiff_planar_tile",
            f"tiff_planar_tile-{word}.tif",
            lambda draw, f=form: tile(f, Layout(64, 64), "packbits_short", 26_000, 26_000, planar=2),
        )
        for rows in (2**31, 2**32 - 1, 1_000_000):
            yield Case(
                "tiff_strip_longer_than_picture",
                f"tiff_strip_longer-{rows}_{word}.tif",
                lambda draw, r=rows, f=form: strip(f, Layout(1_000, 1_000), "deflate", rows=r),
            )


def _strips() -> Iterator[Case]:
    form = Form()
    layouts = {
        "rgba16": Layout(10_950, 10_950, 4, 16),
        "rgb16": Layout(10_950, 10_950, 3, 16),
        "rgb8": Layout(10_950, 10_950, 3, 8),
        "grey16": Layout(10_950, 10_950, 1, 16),
        "float32": Layout(10_950, 10_950, 1, 32, 3),
        "int32": Layout(10_950, 10_950, 1, 32, 2),
        "bit": Layout(10_944, 10_944, 1, 1),
    }
    for shape, layout in layouts.items():
        for compression in ("lzw", "deflate", "packbits"):
            yield Case(
                "tiff_one_strip",
                f"tiff_one_strip-{shape}_{compression}.tif",
                lambda draw, p=layout, c=compression: strip(form, p, c),
            )
        yield Case(
            "tiff_one_strip_short",
            f"tiff_one_strip_short-{shape}.tif",
            lambda draw, p=layout: strip(form, p, "packbits_short"),
        )
    yield Case(
        "tiff_one_strip",
        "tiff_one_strip-predicted.tif",
        lambda draw: strip(form, layouts["rgb16"], "deflate", more=[Entry(317, 3, [2])]),
    )
    for width, height in ((1, 119_000_000), (119_000_000, 1), (7, 17_000_000)):
        for compression in ("deflate", "lzw"):
            yield Case(
                "tiff_thin",
                f"tiff_thin-{width}x{height}_{compression}.tif",
                lambda draw, s=(width, height), c=compression: strip(form, Layout(*s, 1), c),
            )
    for channels in (1, 3, 4):
        yield Case(
            "tiff_jpeg_strip",
            f"tiff_jpeg_strip-{channels}.tif",
            lambda draw, c=channels: strip(form, Layout(10_900, 10_900, c), "jpeg"),
        )
    for scans in (90, 5_000):
        layout = Layout(10_900, 10_900, 1)

        def scanned(draw: object, p: Layout = layout, n: int = scans) -> bytes:
            data = _progressive(p, n)
            entries = [*p.entries(7), Entry(273, 4, [0]), Entry(278, 4, [p.height]), Entry(279, 4, [len(data)])]
            return file(form, entries, data, (273,))

        yield Case("tiff_jpeg_scans", f"tiff_jpeg_scans-{scans}.tif", scanned)
    for height in (30_000, 250_000, 1_200_000):
        for compression in ("raw", "packbits_short", "deflate"):
            if compression != "raw" and height > 300_000:
                continue
            yield Case(
                "tiff_strip_a_row",
                f"tiff_strip_a_row-{height}_{compression}.tif",
                lambda draw, h=height, c=compression: _rows(form, h, 16, c),
            )
    for claimed in (1_000_000, 2**29, 2**31):
        for tag in (273, 279, 258, 338, 320, 34675, 700, 33723):
            yield Case(
                "tiff_claimed_count",
                f"tiff_claimed_count-{tag}_{claimed}.tif",
                lambda draw, t=tag, n=claimed: _claimed(t, n),
            )


def _claimed(tag: int, count: int) -> bytes:
    entries = [*Layout(32, 32).entries(1), Entry(273, 4, [8]), Entry(278, 4, [32]), Entry(279, 4, [3072])]
    listed = [entry for entry in entries if entry.tag != tag] + [Entry(tag, 3 if tag < 339 else 1, at=8, count=count)]
    return Form().file(sorted(listed, key=lambda entry: entry.tag)) + bytes(4_000_000 if count < 2**20 else 4_000)


def _directories() -> Iterator[Case]:
    for big in (False, True):
        form = Form("<", big)
        word = "big" if big else "classic"
        for directories in (1_000, 10_000, 70_000):
            for cycle in (False, True):
                yield Case(
                    "tiff_chain",
                    f"tiff_chain-{directories}_{'cycle' if cycle else 'end'}_{word}.tif",
                    lambda draw, n=directories, c=cycle, f=form: _chained(f, n, c),
                )
        for kind in (1, 2, 3, 5, 7, 12):
            for tags, blob in ((4_000, 500_000), (20_000, 250_000), (20_000, 5_000_000)):
                yield Case(
                    "tiff_tag_bomb",
                    f"tiff_tag_bomb-{kind}_{tags}x{blob}_{word}.tif",
                    lambda draw, k=kind, n=tags, b=blob, f=form: _bomb(f, n, b, k),
                )
        for pointers in ([0x8769], [0x8825], [0x014A], [0x8769, 0x8825, 0xA005, 0x014A]):
            name = "_".join(f"{tag:04x}" for tag in pointers)
            yield Case(
                "tiff_pointers_to_itself",
                f"tiff_pointers_to_itself-{name}_{word}.tif",
                lambda draw, p=pointers, f=form: _small(f, [Entry(tag, 4, [f.start]) for tag in p]),
            )
            yield Case(
                "tiff_only_cycle",
                f"tiff_only_cycle-{name}_{word}.tif",
                lambda draw, p=pointers, f=form: exif_cycle(f, p),
            )
        yield Case(
            "tiff_many_sub_directories",
            f"tiff_many_sub_directories-{word}.tif",
            lambda draw, f=form: _small(f, [Entry(0x014A, 4, [f.start] * 1_000_000)]),
        )
        yield Case(
            "tiff_repeated_entries",
            f"tiff_repeated_entries-{word}.tif",
            lambda draw, f=form: _small(f, [Entry(270, 2, at=20, count=400_000)] * 60_000) + bytes(400_000),
        )


def _shipped() -> Iterator[Case]:
    """Pages that a writer made, many of them."""

    def pages(draw: object) -> bytes:
        into = io.BytesIO()
        image = Image.new("L", (8, 8))
        image.save(into, "TIFF", save_all=True, append_images=[image] * 500, compression="tiff_lzw")
        return into.getvalue()

    yield Case("tiff_many_pages", "tiff_many_pages.tif", pages)
    for notes in EXIF_KINDS:
        yield Case(f"tiff_exif_{notes}", f"tiff_exif_{notes}.tif", lambda draw, k=notes: exif_of(k, MEGABYTE, draw))


def cases() -> Iterator[Case]:
    """All photos of this format."""
    yield from _giants()
    yield from _strips()
    yield from _directories()
    yield from _shipped()

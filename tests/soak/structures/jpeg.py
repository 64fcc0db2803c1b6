"""JPEG: segments, scans and markers by the million, and pictures whose data is hardly there."""

import struct
from collections.abc import Iterator, Sequence

from .case import MEGABYTE, SIZES, Case
from .directories import EXIF_KINDS, Entry, Form, exif_of

_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_LIMIT = 13_370  # squared, just within the limit


def segment(marker: int, content: bytes = b"") -> bytes:
    """Give a marker segment."""
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _tables(count: int = 1) -> bytes:
    quantiser = segment(0xDB, b"\0" + b"\1" * 64)
    return quantiser + _huffman(0, 0) + _huffman(0x10, 0)


def _huffman(where: int, symbol: int) -> bytes:
    """A table whose only code, one zero, stands for one symbol."""
    return segment(0xC4, bytes([where, 1]) + bytes(15) + bytes([symbol]))


def _frame(marker: int, width: int, height: int, components: int, sampling: Sequence[int] = (0x11,)) -> bytes:
    listed = b"".join(bytes([number + 1, sampling[min(number, len(sampling) - 1)], 0]) for number in range(components))
    return segment(marker, struct.pack(">BHHB", 8, height, width, components) + listed)


def _scan(components: Sequence[int], first: int = 0, last: int = 63, bits: int = 0) -> bytes:
    listed = b"".join(bytes([number, 0]) for number in components)
    return segment(0xDA, bytes([len(components)]) + listed + bytes([first, last, bits]))


_ADOBE = {"rgb": 0, "ycck": 2, "cmyk": 0}
_COMPONENTS = {"grey": 1, "ycc": 3, "rgb": 3, "cmyk": 4, "ycck": 4}


def _adobe(colours: str) -> bytes:
    return segment(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, _ADOBE[colours])) if colours in _ADOBE else b""


def picture(marker: int, width: int, height: int, colours: str, scans: bytes) -> bytes:
    """Give a JPEG with all tables in front of its scans."""
    frame = _frame(marker, width, height, _COMPONENTS[colours])
    return _SOI + _adobe(colours) + _tables() + frame + scans + _EOI


def small(before: bytes = b"", within: bytes = b"", behind: bytes = b"") -> bytes:
    """Give a grey picture of 8x8 with bytes after its start, in its scan, or after its end."""
    return _SOI + before + _tables() + _frame(0xC0, 8, 8, 1) + _scan([1]) + b"\0" + within + _EOI + behind


def exif(notes: bytes) -> bytes:
    """Give notes in as many segments as they need; Pillow joins them."""
    return b"".join(segment(0xE1, b"Exif\0\0" + notes[at : at + 65_500]) for at in range(0, max(1, len(notes)), 65_500))


def _index(images: int, bomb: str | None = None) -> bytes:
    """MPO's index of many images, or one whose entries point at one blob."""
    form = Form()
    listed = b"".join(struct.pack("<LLLHH", 0x030000, 100, 0, 0, 0) for _ in range(images))
    if bomb is not None:
        count, kind = 2_600, int(bomb)
        behind = form.start + form.length(count + 3)
        size = {5: 8, 12: 8, 3: 2, 7: 1}[kind]
        more = [Entry(0xC000 + n, kind, at=behind, count=30_000 // size) for n in range(count)]
        listed = listed.ljust(30_000, b"\1")
    else:
        more = []
        behind = form.start + form.length(3)
    entries = [
        Entry(0xB000, 7, list(b"0100")),
        Entry(0xB001, 4, [images]),
        Entry(0xB002, 7, at=behind, count=16 * images),
        *more,
    ]
    return segment(0xE2, b"MPF\0" + form.file(entries) + listed)


def _segments() -> Iterator[Case]:
    for size in SIZES:
        length = int(size * MEGABYTE)
        blocks = {
            "jpeg_many_exif_tiny": segment(0xE1, b"Exif\0\0" + b"x" * 10),
            "jpeg_many_exif_empty": segment(0xE1, b"Exif\0\0"),
            "jpeg_many_exif_full": segment(0xE1, b"Exif\0\0" + b"x" * 65_000),
            "jpeg_many_xmp": segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + b'tiff:Orientation="' * 3),
            "jpeg_many_icc": segment(0xE2, b"ICC_PROFILE\0\1\xff" + b"x"),
            "jpeg_many_icc_full": segment(0xE2, b"ICC_PROFILE\0\1\xff" + b"x" * 65_000),
            "jpeg_many_photoshop": segment(0xED, b"Photoshop 3.0\0" + b"8BIM\3\xed\0\0\0\0\0\x10" + bytes(16)),
            "jpeg_photoshop_of_many": segment(0xED, b"Photoshop 3.0\0" + b"8BIM\4\4\0\0\0\0\0\0" * 5_000),
            "jpeg_many_comments": segment(0xFE, b"x"),
            "jpeg_many_empty_comments": segment(0xFE),
            "jpeg_many_jfif": segment(0xE0, b"JFIF\0\1\1\1\0\1\0\1\0\0"),
            "jpeg_many_adobe": segment(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, 1)),
            "jpeg_many_app_empty": segment(0xE7),
            "jpeg_many_mpf": segment(0xE2, b"MPF\0II*\0\x08\0\0\0\0\0"),
            "jpeg_fill_bytes": b"\xff",
            "jpeg_many_rst_before_frame": b"\xff\xd0",
            "jpeg_many_tem": b"\xff\x01",
            "jpeg_many_nulls": b"\0",
            "jpeg_many_quantisers": segment(0xDB, b"\0" + b"\1" * 64),
            "jpeg_quantisers_in_one": segment(0xDB, (b"\0" + b"\1" * 64) * 1_000),
            "jpeg_many_huffman": _huffman(0, 0),
            "jpeg_huffman_in_one": segment(0xC4, (b"\0\1" + bytes(15) + b"\0") * 3_000),
            "jpeg_many_intervals": segment(0xDD, b"\0\1"),
            "jpeg_many_arithmetic": segment(0xCC, b"\0\x10"),
            "jpeg_many_frames": _frame(0xC0, 8, 8, 1),
        }
        for kind, block in blocks.items():
            yield Case(kind, f"{kind}-{size}mb.jpg", lambda draw, b=block, n=length: small(b * (n // len(b))))
        for word, block in (("rst", b"\xff\xd0"), ("fill", b"\xff"), ("zeros", b"\0"), ("stuffed", b"\xff\0")):
            kind = f"jpeg_scan_of_{word}"
            yield Case(kind, f"{kind}-{size}mb.jpg", lambda draw, b=block, n=length: small(within=b * (n // len(b))))
        yield Case(
            "jpeg_behind_end",
            f"jpeg_behind_end-{size}mb.jpg",
            lambda draw, n=length: small(behind=small() * (n // 150)),
        )
        for notes in EXIF_KINDS:
            yield Case(
                f"jpeg_exif_{notes}",
                f"jpeg_exif_{notes}-{size}mb.jpg",
                lambda draw, k=notes, n=length: small(exif(exif_of(k, n, draw))),
            )
    for notes in EXIF_KINDS:
        yield Case(
            f"jpeg_exif_{notes}",
            f"jpeg_exif_{notes}-one_segment.jpg",
            lambda draw, k=notes: small(exif(exif_of(k, 64_000, draw))),
        )
    for images in (2, 1_000, 4_000):
        yield Case("mpo_many_images", f"mpo-{images}_images.jpg", lambda draw, n=images: small(_index(n)))
    yield Case(
        "mpo_many_images", "mpo-claims_a_lot.jpg", lambda draw: small(_index(2).replace(b"\2\0\0\0", b"\0\0\0\x40"))
    )
    for kind in ("5", "12", "3", "7"):
        yield Case("mpo_tag_bomb", f"mpo-bomb_{kind}.jpg", lambda draw, k=kind: small(_index(2, k)))


def _scans() -> Iterator[Case]:
    for megapixels, width, height in ((0.01, 100, 100), (12, 4000, 3000), (99, 9_900, 9_999)):
        for scans in (100, 1_000, 5_000, 50_000):
            if megapixels > 12 and scans > 5_000:
                continue

            def progressive(draw: object, n: int = scans, s: tuple[int, int] = (width, height)) -> bytes:
                return picture(0xC2, *s, "grey", _scan([1], 0, 0) + _huffman(0x10, 0xE0) + _scan([1], 1, 63) * n)

            def refined(draw: object, n: int = scans, s: tuple[int, int] = (width, height)) -> bytes:
                first = _scan([1], 0, 0, 1) + _scan([1], 1, 63, 1)
                return picture(0xC2, *s, "grey", first + (_scan([1], 0, 0, 0x10) + _scan([1], 1, 63, 0x10)) * (n // 2))

            def runs(draw: object, n: int = scans, s: tuple[int, int] = (width, height)) -> bytes:
                data = _scan([1], 1, 63) + bytes(36)
                return picture(0xC2, *s, "grey", _scan([1], 0, 0) + _huffman(0x10, 0xE0) + data * n)

            def sequential(draw: object, n: int = scans, s: tuple[int, int] = (width, height)) -> bytes:
                return picture(0xC0, *s, "ycc", (_scan([1]) + _scan([2]) + _scan([3])) * (n // 3))

            def arithmetic(draw: object, n: int = scans, s: tuple[int, int] = (width, height)) -> bytes:
                return picture(0xCA, *s, "grey", _scan([1], 0, 0) + _scan([1], 1, 63) * n)

            name = f"{megapixels}mp_{scans}.jpg"
            yield Case("jpeg_progressive_scans", f"jpeg_progressive_scans-{name}", progressive)
            yield Case("jpeg_progressive_runs", f"jpeg_progressive_runs-{name}", runs)
            yield Case("jpeg_progressive_refinements", f"jpeg_progressive_refinements-{name}", refined)
            yield Case("jpeg_sequential_repeated", f"jpeg_sequential_repeated-{name}", sequential)
            yield Case("jpeg_arithmetic_progressive", f"jpeg_arithmetic_progressive-{name}", arithmetic)
    for colours in _COMPONENTS:
        for width, height in ((_LIMIT, _LIMIT), (65_500, 2_730), (2_730, 65_500), (6_300, 6_300)):
            blocks = (width // 8 + 1) * (height // 8 + 1)
            name = f"{colours}-{width}x{height}.jpg"
            size = (width, height)

            def one_each(draw: object, c: str = colours, s: tuple[int, int] = size, blocks: int = blocks) -> bytes:
                data = bytes(blocks // 4 + 1)
                return picture(0xC0, *s, c, b"".join(_scan([n + 1]) + data for n in range(_COMPONENTS[c])))

            def empty(draw: object, c: str = colours, s: tuple[int, int] = size) -> bytes:
                return picture(0xC0, *s, c, b"".join(_scan([n + 1]) for n in range(_COMPONENTS[c])))

            def together(
                draw: object, marker: int, c: str = colours, s: tuple[int, int] = size, last: int = 63
            ) -> bytes:
                return picture(marker, *s, c, _scan(range(1, _COMPONENTS[c] + 1), 0, last))

            yield Case("jpeg_one_scan_a_component", f"jpeg_one_scan_a_component-{name}", one_each)
            yield Case("jpeg_little_data_many_scans", f"jpeg_little_data_many_scans-{name}", empty)
            yield Case("jpeg_little_data", f"jpeg_little_data-{name}", lambda d, f=together: f(d, 0xC0))
            yield Case("jpeg_arithmetic", f"jpeg_arithmetic-{name}", lambda d, f=together: f(d, 0xC9))
            yield Case(
                "jpeg_progressive_large", f"jpeg_progressive_large-{name}", lambda d, f=together: f(d, 0xC2, last=0)
            )
            yield Case(
                "jpeg_lossless", f"jpeg_lossless-{name}", lambda d, f=together: f(d, 0xC3).replace(b"\0?\0", b"\1\0\0")
            )
    for sampling in ((0x44, 0x11, 0x11), (0x11, 0x44, 0x44), (0x41, 0x14, 0x11), (0x22, 0x11, 0x11)):
        for marker in (0xC0, 0xC2):
            word = "_".join(f"{each:02x}" for each in sampling)
            yield Case(
                "jpeg_sampling",
                f"jpeg_sampling-{marker:02x}-{word}.jpg",
                lambda draw, m=marker, s=sampling: (
                    _SOI
                    + _tables()
                    + _frame(m, 9_900, 9_900, 3, s)
                    + b"".join(_scan([n], 0, 63 if m == 0xC0 else 0) for n in (1, 2, 3))
                    + _EOI
                ),
            )
    for interval in (1, 7):
        yield Case(
            "jpeg_many_restarts",
            f"jpeg_many_restarts-{interval}.jpg",
            lambda draw, n=interval: (
                _SOI
                + _tables()
                + segment(0xDD, struct.pack(">H", n))
                + _frame(0xC0, _LIMIT, _LIMIT, 1)
                + _scan([1])
                + b"".join(b"\0" * ((n + 3) // 4) + bytes([0xFF, 0xD0 + k]) for k in range(8)) * (2_800_000 // n // 8)
                + _EOI
            ),
        )
    for word, end in (("cut", b""), ("ended", _EOI)):
        for width, height in ((_LIMIT, _LIMIT), (65_535, 65_535), (65_500, 1), (1, 65_500)):
            yield Case(
                "jpeg_huge_header",
                f"jpeg_huge_header-{word}-{width}x{height}.jpg",
                lambda draw, e=end, s=(width, height): _SOI + _tables() + _frame(0xC0, *s, 3) + _scan([1, 2, 3]) + e,
            )


def cases() -> Iterator[Case]:
    """All photos of this format."""
    yield from _segments()
    yield from _scans()

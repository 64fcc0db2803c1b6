"""PNG: chunks by the million, texts and profiles that unpack, and pictures at the limit of pixels."""

import struct
import zlib
from collections.abc import Iterator

from .case import MEGABYTE, SIZES, Case
from .directories import EXIF_KINDS, exif_of
from .streams import deflated

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_COLOURS = {0: "grey", 2: "rgb", 3: "palette", 4: "grey_alpha", 6: "rgba"}


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    """Give a chunk."""
    return struct.pack(">L", len(content)) + kind + content + struct.pack(">L", zlib.crc32(kind + content))


def header(width: int, height: int, depth: int = 8, colour: int = 2, interlaced: int = 0) -> bytes:
    """Give the signature and the first chunk."""
    fields = struct.pack(">LLBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", fields)


_PIXELS = zlib.compress(b"".join(b"\0" + bytes(range(96)) for _ in range(32)))
_END = chunk(b"IEND")


def small(before: bytes = b"", behind: bytes = b"") -> bytes:
    """Give a picture of 32x32 with chunks before or behind its pixels."""
    return header(32, 32) + before + chunk(b"IDAT", _PIXELS) + behind + _END


def large(width: int, height: int, depth: int, colour: int, interlaced: int = 0, filtered: int = 0) -> bytes:
    """Give a picture of one colour, whatever its size; a filter but 0 only where it is not interlaced."""
    palette = chunk(b"PLTE", bytes(range(6))) if colour == 3 else b""

    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    total, longest = 0, 1
    for left, top, across, down in passes if interlaced else [(0, 0, 1, 1)]:
        wide, high = max(0, -(-(width - left) // across)), max(0, -(-(height - top) // down))
        row = 1 + (wide * depth * _CHANNELS[colour] + 7) // 8
        total += row * high if wide else 0
        longest = max(longest, row)
    # A filter's number must begin each row; without one, all is zeros
    block = (bytes([filtered]) + bytes(longest - 1)) * max(1, 2_000_000 // longest) if filtered else bytes(2_000_000)
    data = deflated(block, -(-total // len(block)))
    return header(width, height, depth, colour, interlaced) + palette + chunk(b"IDAT", data) + _END


def _text(kind: bytes, length: int) -> bytes:
    if kind == b"tEXt":
        return chunk(kind, b"a\0" + b"x" * length)
    packed = deflated(b" " * 50_000, max(1, length // 50_000)) if length else zlib.compress(b"x")
    return chunk(kind, b"a\0\0" + packed if kind == b"zTXt" else b"a\0\1\0\0\0" + packed)


def _raw_profile(notes: bytes, packed: bool) -> bytes:
    lines = f"\nexif\n{len(notes)}\n".encode() + notes.hex().encode()
    if packed:
        return chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(lines))
    return chunk(b"tEXt", b"Raw profile type exif\0" + lines)


def _frame_control(number: int) -> bytes:
    return chunk(b"fcTL", struct.pack(">LLLLLHHBB", number, 32, 32, 0, 0, 1, 10, 0, 0))


def _chunks() -> Iterator[Case]:
    for size in SIZES:
        length = int(size * MEGABYTE)
        blocks = {
            "png_many_empty_private": chunk(b"prVt"),
            "png_many_empty_unknown": chunk(b"unKn"),
            "png_many_physical": chunk(b"pHYs", bytes(9)),
            "png_many_gamma": chunk(b"gAMA", bytes(4)),
            "png_many_text": _text(b"tEXt", 1),
            "png_many_ztxt": _text(b"zTXt", 0),
            "png_many_itxt": _text(b"iTXt", 0),
            "png_many_full_text": _text(b"tEXt", 60_000),
            "png_many_exif": chunk(b"eXIf", b"II*\0\x08\0\0\0\0\0\0\0\0\0"),
            "png_many_palettes": chunk(b"PLTE", bytes(768)),
            "png_many_transparencies": chunk(b"tRNS", bytes(6)),
            "png_many_frame_controls": _frame_control(0),
            "png_many_animation_controls": chunk(b"acTL", struct.pack(">LL", 2**31 - 1, 0)),
            "png_many_profiles": chunk(b"iCCP", b"a\0\0" + zlib.compress(b"x")),
        }
        for kind, block in blocks.items():
            yield Case(kind, f"{kind}-{size}mb.png", lambda draw, b=block, n=length: small(b * (n // len(b))))
            if kind in ("png_many_empty_private", "png_many_text", "png_many_exif"):
                behind = f"{kind}_behind"
                yield Case(
                    behind, f"{behind}-{size}mb.png", lambda draw, b=block, n=length: small(behind=b * (n // len(b)))
                )
        yield Case(
            "png_many_tiny_idats",
            f"png_many_tiny_idats-{size}mb.png",
            lambda draw, n=length: (
                header(4000, 3000, 8, 0)
                + b"".join(chunk(b"IDAT", bytes([byte])) for byte in deflated(bytes(3001), 4000)[: n // 13])
                + _END
            ),
        )
        yield Case(
            "png_many_empty_idats",
            f"png_many_empty_idats-{size}mb.png",
            lambda draw, n=length: small(chunk(b"IDAT") * (n // 12)),
        )
        yield Case(
            "png_many_empty_idats_behind",
            f"png_many_empty_idats_behind-{size}mb.png",
            lambda draw, n=length: small(behind=chunk(b"IDAT") * (n // 12)),
        )
        yield Case(
            "png_empty_deflate_blocks",
            f"png_empty_deflate_blocks-{size}mb.png",
            lambda draw, n=length: (
                header(32, 32) + chunk(b"IDAT", b"\x78\x01" + b"\0\0\0\xff\xff" * (n // 5) + _PIXELS[2:]) + _END
            ),
        )
        yield Case(
            "png_many_frames",
            f"png_many_frames-{size}mb.png",
            lambda draw, n=length: small(
                chunk(b"acTL", struct.pack(">LL", n // 250, 0)) + _frame_control(0),
                (_frame_control(1) + chunk(b"fdAT", b"\0\0\0\2" + _PIXELS)) * (n // 250),
            ),
        )
        for notes in EXIF_KINDS:
            kind = f"png_exif_{notes}"
            yield Case(
                kind,
                f"{kind}-{size}mb.png",
                lambda draw, k=notes, n=length: small(chunk(b"eXIf", exif_of(k, n, draw))),
            )
        for packed in (False, True):
            kind = f"png_raw_profile{'_packed' if packed else ''}"
            yield Case(
                kind,
                f"{kind}-{size}mb.png",
                lambda draw, p=packed, n=length: small(_raw_profile(exif_of("bomb7", n // 2, draw), p)),
            )
    for length in (900_000, 60_000_000, 2_000_000_000):
        for text in (b"zTXt", b"iTXt"):
            for count in (1, 60) if length < 10**9 else (1,):
                kind = f"png_{text.decode().lower()}_bomb"
                yield Case(
                    kind,
                    f"{kind}-{length}_{count}.png",
                    lambda draw, t=text, n=length, c=count: small(_text(t, n) * c),
                )
        yield Case(
            "png_iccp_bomb",
            f"png_iccp_bomb-{length}.png",
            lambda draw, n=length: small(chunk(b"iCCP", b"a\0\0" + deflated(bytes(100_000), n // 100_000))),
        )
        yield Case(
            "png_idat_longer_than_picture",
            f"png_idat_longer-{length}.png",
            lambda draw, n=length: header(32, 32) + chunk(b"IDAT", deflated(bytes(100_000), n // 100_000 + 1)) + _END,
        )


def _pixels() -> Iterator[Case]:
    square = (13_377, 13_377)
    for colour, word in _COLOURS.items():
        for depth in (1, 8, 16):
            if depth not in {0: (1, 8, 16), 3: (1, 8)}.get(colour, (8, 16)):
                continue
            for interlaced in (0, 1):
                shape = f"{word}{depth}{'_interlaced' if interlaced else ''}"
                yield Case(
                    "png_at_the_limit",
                    f"png_at_the_limit-{shape}.png",
                    lambda draw, d=depth, c=colour, i=interlaced: large(*square, d, c, i),
                )
            for size in ((1, 178_000_000), (178_000_000, 1), (7, 25_000_000), (25_000_000, 7)):
                yield Case(
                    "png_thin",
                    f"png_thin-{word}{depth}_{size[0]}x{size[1]}.png",
                    lambda draw, d=depth, c=colour, s=size: large(*s, d, c),
                )
    for filtered in (1, 3, 4):
        yield Case(
            "png_filtered",
            f"png_filtered-{filtered}.png",
            lambda draw, f=filtered: large(*square, 16, 6, filtered=f),
        )
    for interlaced in (0, 1):
        yield Case(
            "png_thin_interlaced",
            f"png_thin_interlaced-{interlaced}.png",
            lambda draw, i=interlaced: large(2, 80_000_000, 8, 2, i),
        )
    for content in (b"", bytes(3), bytes(767), bytes(10_000_000)):
        for colour in (2, 3):
            yield Case(
                "png_odd_palette",
                f"png_odd_palette-{_COLOURS[colour]}_{len(content)}.png",
                lambda draw, p=content, c=colour: (
                    header(32, 32, 8, c)
                    + chunk(b"PLTE", p)
                    + chunk(b"tRNS", p)
                    + chunk(b"IDAT", zlib.compress(bytes((1 + 32 * _CHANNELS[c]) * 32)))
                    + _END
                ),
            )
    for width, height in ((2**31 - 1, 2**31 - 1), (13_377, 13_377), (1, 178_000_000)):
        yield Case(
            "png_huge_header",
            f"png_huge_header-{width}x{height}.png",
            lambda draw, s=(width, height): header(*s, 16, 6) + chunk(b"IDAT", _PIXELS) + _END,
        )


def cases() -> Iterator[Case]:
    """All photos of this format."""
    yield from _chunks()
    yield from _pixels()

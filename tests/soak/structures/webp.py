"""WebP: canvases larger than their frames, chunks large and many, animations."""

import io
import struct
from collections.abc import Iterator

from PIL import Image

from .case import MEGABYTE, SIZES, Case
from .directories import EXIF_KINDS, exif_of


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    """Give a chunk, padded to an even length."""
    return kind + struct.pack("<L", len(content)) + content + b"\0" * (len(content) % 2)


def _riff(content: bytes) -> bytes:
    return b"RIFF" + struct.pack("<L", len(content) + 4) + b"WEBP" + content


def _three(number: int) -> bytes:
    return struct.pack("<L", number)[:3]


def _extended(width: int, height: int, flags: int) -> bytes:
    return chunk(b"VP8X", bytes([flags, 0, 0, 0]) + _three(width - 1) + _three(height - 1))


def _coded(size: tuple[int, int] = (8, 8), lossless: bool = True, colour: int = 90) -> bytes:
    """Give the chunk of a picture's pixels."""
    into = io.BytesIO()
    Image.new("RGB", size, (colour, 20, 30)).save(into, "WEBP", lossless=lossless, quality=0, method=0)
    return into.getvalue()[12:]


def _frame(pixels: bytes, width: int = 8, height: int = 8) -> bytes:
    return chunk(b"ANMF", bytes(6) + _three(width - 1) + _three(height - 1) + b"\x0a\0\0\0" + pixels)


def _animated(width: int, height: int, frames: bytes, more: bytes = b"") -> bytes:
    return _riff(_extended(width, height, 0x02) + more + chunk(b"ANIM", bytes(6)) + frames)


def cases() -> Iterator[Case]:
    """All photos of this format."""
    for size in SIZES:
        length = int(size * MEGABYTE)
        for kind, flag in ((b"EXIF", 0x08), (b"XMP ", 0x04), (b"ICCP", 0x20)):
            word = kind.decode().strip().lower()
            yield Case(
                f"webp_huge_{word}",
                f"webp_huge_{word}-{size}mb.webp",
                lambda draw, k=kind, f=flag, n=length: _riff(
                    _extended(8, 8, f)
                    + (chunk(k, b"x" * n) + _coded() if k == b"ICCP" else _coded() + chunk(k, b"x" * n))
                ),
            )
            yield Case(
                f"webp_many_{word}",
                f"webp_many_{word}-{size}mb.webp",
                lambda draw, k=kind, f=flag, n=length: _riff(
                    _extended(8, 8, f) + _coded() + chunk(k, b"xy") * (n // 10)
                ),
            )
        yield Case(
            "webp_many_unknown",
            f"webp_many_unknown-{size}mb.webp",
            lambda draw, n=length: _riff(_extended(8, 8, 0) + _coded() + chunk(b"abcd") * (n // 8)),
        )
        yield Case(
            "webp_many_unknown_before",
            f"webp_many_unknown_before-{size}mb.webp",
            lambda draw, n=length: _riff(_extended(8, 8, 0) + chunk(b"abcd") * (n // 8) + _coded()),
        )
        yield Case(
            "webp_many_frames",
            f"webp_many_frames-{size}mb.webp",
            lambda draw, n=length: _animated(8, 8, (frame := _frame(_coded())) * (n // len(frame))),
        )
        yield Case(
            "webp_many_frames_on_large",
            f"webp_many_frames_on_large-{size}mb.webp",
            lambda draw, n=length: _animated(7_700, 7_700, (frame := _frame(_coded())) * (n // len(frame))),
        )
        for notes in EXIF_KINDS:
            kind = f"webp_exif_{notes}"
            yield Case(
                kind,
                f"{kind}-{size}mb.webp",
                lambda draw, k=notes, n=length: _riff(
                    _extended(8, 8, 0x08) + _coded() + chunk(b"EXIF", exif_of(k, n, draw))
                ),
            )
    for width, height in (
        (7_700, 7_700),
        (16_383, 16_383),
        (32_767, 32_767),
        (16_777_216, 200),
        (60_000_000, 1),
        (3, 16_000_000),
    ):
        for animated in (False, True):
            yield Case(
                "webp_canvas_larger_than_frame",
                f"webp_canvas-{width}x{height}{'_moving' if animated else ''}.webp",
                lambda draw, s=(width, height), a=animated: (
                    _animated(*s, _frame(_coded()) * 3) if a else _riff(_extended(*s, 0) + _coded())
                ),
            )
    for side in (7_700, 16_383):
        for lossless in (False, True):
            yield Case(
                "webp_huge_header",
                f"webp_huge_header-{side}_{'lossless' if lossless else 'lossy'}.webp",
                lambda draw, s=side, x=lossless: _riff(_lying(_coded((8, 8), x), s)),
            )


def _lying(pixels: bytes, side: int) -> bytes:
    changed = bytearray(pixels)
    if pixels.startswith(b"VP8L"):
        struct.pack_into("<L", changed, 9, (side - 1) | (side - 1) << 14)
    else:
        struct.pack_into("<HH", changed, 14, side, side)
    return bytes(changed)

"""AVIF: boxes by the thousand, notes, and sizes that are not there."""

import io
import struct
from collections.abc import Iterator

from PIL import Image, features

from .case import MEGABYTE, SIZES, Case
from .directories import EXIF_KINDS, exif_of


def _written(frames: int = 1, **options: object) -> bytes:
    into = io.BytesIO()
    pictures = [Image.new("RGB", (16, 16), (number % 256, 90, 20)) for number in range(frames)]
    pictures[0].save(into, "AVIF", save_all=frames > 1, append_images=pictures[1:], speed=10, max_threads=1, **options)
    return into.getvalue()


def _boxes(kind: bytes, count: int, content: bytes = b"") -> bytes:
    return (struct.pack(">L", 8 + len(content)) + kind + content) * count


def _with_notes(notes: bytes) -> bytes:
    """Let the file's notes lie behind all else; the writer itself would parse them."""
    short = Image.Exif()
    short[0x010E] = "to be replaced"
    content = _written(exif=short.tobytes())
    # An item's place and length stand together; the notes follow a number of four bytes
    held = short.tobytes()
    place = struct.pack(">LL", content.index(held) - 4, len(held) + 4)
    assert content.count(place) == 1
    moved = content.replace(place, struct.pack(">LL", len(content) + 8, len(notes) + 4))
    return moved + _boxes(b"mdat", 1, bytes(4) + notes)


def _sized(content: bytes, width: int, height: int) -> bytes:
    at = content.index(b"ispe") + 8
    return content[:at] + struct.pack(">LL", width, height) + content[at + 8 :]


def cases() -> Iterator[Case]:
    """All photos of this format, where this Pillow writes it."""
    if not features.check("avif"):
        return
    for size in SIZES:
        length = int(size * MEGABYTE)
        for kind in (b"free", b"uuid", b"meta"):
            word = f"avif_many_{kind.decode()}"
            content = b"" if kind == b"free" else bytes(16)
            yield Case(
                word,
                f"{word}-{size}mb.avif",
                lambda draw, k=kind, c=content, n=length: _written() + _boxes(k, n // (8 + len(c)), c),
            )
        for notes in EXIF_KINDS:
            kind = f"avif_exif_{notes}"
            yield Case(
                kind,
                f"{kind}-{size}mb.avif",
                lambda draw, k=notes, n=length: _with_notes(exif_of(k, n, draw)),
            )
    for width, height in ((13_377, 13_377), (65_535, 65_535), (178_000_000, 1), (1, 178_000_000)):
        yield Case(
            "avif_huge_header",
            f"avif_huge_header-{width}x{height}.avif",
            lambda draw, s=(width, height): _sized(_written(), *s),
        )
    yield Case("avif_many_frames", "avif_many_frames-60.avif", lambda draw: _written(60))

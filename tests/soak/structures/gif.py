"""GIF: blocks by the million, screens and frames of other sizes, and streams that never end."""

import struct
from collections.abc import Iterator

from .case import MEGABYTE, SIZES, Case
from .streams import gif_lzw

_DOT = b"\x02\x4c\x01"  # a code size of 2; clear, 1, end


def _screen(width: int = 1, height: int = 1) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF0, 0, 0) + b"\0\0\0\xff\xff\xff"


def _frame(width: int = 1, height: int = 1, data: bytes | None = None, flags: int = 0, step: int = 255) -> bytes:
    head = b"," + struct.pack("<HHHHB", 0, 0, width, height, flags)
    if data is None:
        return head + b"\x02\x02\x4c\x01\0"
    return head + b"\x08" + _sub_blocks(data, step) + b"\0"


def _sub_blocks(data: bytes, step: int) -> bytes:
    return b"".join(bytes([len(part)]) + part for at in range(0, len(data), step) if (part := data[at : at + step]))


def _before(blocks: bytes) -> bytes:
    return _screen() + blocks + _frame() + b";"


def cases() -> Iterator[Case]:
    """All photos of this format."""
    for size in SIZES:
        length = int(size * MEGABYTE)

        def filled(block: bytes, head: bytes = b"", tail: bytes = b"", length: int = length) -> bytes:
            return _before(head + block * (length // len(block)) + tail)

        repeated = {
            "gif_comment_of_1_byte_blocks": (b"\1x", b"!\xfe", b"\0"),
            "gif_comment_of_255_byte_blocks": (b"\xff" + b"x" * 255, b"!\xfe", b"\0"),
            "gif_application_of_1_byte_blocks": (b"\1x", b"!\xff\x0bXMP DataXMP", b"\0"),
            "gif_unknown_of_1_byte_blocks": (b"\1x", b"!\x42", b"\0"),
            "gif_many_comments": (b"!\xfe\1x\0", b"", b""),
            "gif_many_empty_comments": (b"!\xfe\0", b"", b""),
            "gif_many_applications": (b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0", b"", b""),
            "gif_many_graphic_controls": (b"!\xf9\x04\x05\x0a\0\1\0", b"", b""),
            "gif_many_plain_texts": (b"!\x01\x0c" + bytes(12) + b"\1x\0", b"", b""),
            "gif_junk_between_blocks": (b"\0", b"", b""),
        }
        for kind, (block, head, tail) in repeated.items():
            yield Case(kind, f"{kind}-{size}mb.gif", lambda draw, p=(block, head, tail), f=filled: f(*p))
        yield Case(
            "gif_data_of_1_byte_blocks",
            f"gif_data_of_1_byte_blocks-{size}mb.gif",
            lambda draw, n=length: _screen(4000, 3000) + _frame(4000, 3000, b"\0\1" + bytes(n // 2), step=1) + b";",
        )
        yield Case(
            "gif_lzw_of_clears",
            f"gif_lzw_of_clears-{size}mb.gif",
            lambda draw, n=length: (
                _screen(64, 64) + _frame(64, 64, (int("100000000" * 8, 2).to_bytes(9, "big")[::-1]) * (n // 9)) + b";"
            ),
        )
        yield Case(
            "gif_many_frames",
            f"gif_many_frames-{size}mb.gif",
            lambda draw, n=length: _screen() + (_frame() * (n // 16)) + b";",
        )
    for width, height in ((13_377, 13_377), (65_535, 2_730), (2_730, 65_535), (20_000, 2_000)):
        name = f"{width}x{height}.gif"
        control = b"!\xf9\x04\x01\0\0\0\0"
        yield Case(
            "gif_huge_screen", f"gif_huge_screen-{name}", lambda draw, s=(width, height): _screen(*s) + _frame() + b";"
        )
        yield Case(
            "gif_huge_screen",
            f"gif_huge_screen_transparent-{name}",
            lambda draw, s=(width, height), c=control: _screen(*s) + c + _frame() + b";",
        )
        for flags, word in ((0, "plain"), (0x40, "interlaced")):
            yield Case(
                "gif_huge_frame",
                f"gif_huge_frame_{word}-{name}",
                lambda draw, s=(width, height), g=flags: _screen() + _frame(*s, gif_lzw(s[0] * s[1]), flags=g) + b";",
            )
        yield Case(
            "gif_huge_frame_after_control",
            f"gif_huge_frame_transparent-{name}",
            lambda draw, s=(width, height), c=control: _screen(*s) + c + _frame(*s, gif_lzw(s[0] * s[1])) + b";",
        )
    yield Case(
        "gif_huge_frame", "gif_huge_frame-65535x65535.gif", lambda draw: _screen() + _frame(65_535, 65_535) + b";"
    )
    yield Case(
        "gif_lzw_longer_than_frame",
        "gif_lzw_longer_than_frame.gif",
        lambda draw: _screen(32, 32) + _frame(32, 32, gif_lzw(2_000_000_000)) + b";",
    )

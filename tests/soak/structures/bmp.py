"""BMP: packed rows that jump, sizes without pixels, old headers and large palettes."""

import struct
from collections.abc import Iterator

from .case import MEGABYTE, Case


def file(
    size: tuple[int, int],
    bits: int,
    data: bytes,
    compression: int = 0,
    colours: int = 0,
    header: int = 40,
) -> bytes:
    """Give a BMP; a header of 12 bytes is OS/2's."""
    width, height = size
    if header == 12:
        fields = struct.pack("<LHHHH", 12, width & 0xFFFF, height & 0xFFFF, 1, bits)
        palette = bytes(3 << bits) if bits <= 8 else b""
    else:
        fields = struct.pack("<LllHHLLllLL", header, width, height, 1, bits, compression, 0, 0, 0, colours, 0)
        fields = fields.ljust(header, b"\0")
        palette = bytes(4 * (colours or 1 << bits)) if bits <= 8 else b""
    at = 14 + len(fields) + len(palette)
    return b"BM" + struct.pack("<LHHL", at + len(data), 0, 0, at) + fields + palette + data


def cases() -> Iterator[Case]:
    """All photos of this format."""
    end = b"\0\1"
    for bits, compression in ((8, 1), (4, 2)):
        kind = f"bmp_rle{bits}"
        for width, height in ((8_000_000, 1), (1, 8_000_000), (2_828, 2_828), (31_000, 255), (65_535, 65_535)):
            jumps = {
                "one_delta": b"\0\2\0\xff" + end,
                "deltas": b"\0\2\xff\xff" * 1_000 + end,
                "sideways": b"\0\2\xff\0" * 200_000 + end,
                "nowhere": b"\0\2\0\0" * 500_000 + end,
                "line_ends": b"\0\0" * 1_000_000 + end,
                "empty_runs": b"\0\3\1\1\1\0" * 300_000 + end,
                "runs_of_one": b"\1\0" * 4_000_000 + end,
                "runs": b"\xff\0" * 40_000 + end,
                "cut": b"\xff",
            }
            for word, data in jumps.items():
                yield Case(
                    f"{kind}_{word}",
                    f"{kind}_{word}-{width}x{height}.bmp",
                    lambda draw, s=(width, height), b=bits, d=data, c=compression: file(s, b, d, c),
                )
    for width, height in ((13_377, 13_377), (13_377, -13_377), (178_000_000, 1), (1, 178_000_000), (1, -178_000_000)):
        for bits in (1, 8, 16, 24, 32):
            for header in (12, 40, 124):
                if header == 12 and max(width, abs(height)) > 65_535:
                    continue
                yield Case(
                    "bmp_huge_header",
                    f"bmp_huge_header-{width}x{height}_{bits}_{header}.bmp",
                    lambda draw, s=(width, height), b=bits, h=header: file(s, b, bytes(1_000), header=h),
                )
    for size, bits in (((13_377, 13_370), 1), ((1, 40_000_000), 1), ((178_000_000, 1), 1), ((9_000, 2_000), 24)):
        stride = (size[0] * bits + 31) // 32 * 4
        yield Case(
            "bmp_whole",
            f"bmp_whole-{size[0]}x{size[1]}_{bits}.bmp",
            lambda draw, s=size, b=bits, n=stride: file(s, b, bytes(min(30 * MEGABYTE, n * s[1]))),
        )
    for colours in (256, 65_536, 1_000_000, 2**31):
        yield Case(
            "bmp_palette",
            f"bmp_palette-{colours}.bmp",
            lambda draw, n=colours: file((32, 32), 8, bytes(1_024), colours=min(n, 2_000_000)).replace(
                struct.pack("<L", min(n, 2_000_000)), struct.pack("<L", n), 1
            ),
        )

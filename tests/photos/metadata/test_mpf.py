import struct

import pytest

from captioner.photos.metadata.mpf import moved


def index(order: str, *entries: tuple[int, int]) -> bytes:
    """An index of pictures, (bytes, place) each, as CIPA DC-007 has it: version, number, and entries."""
    mark = {"<": b"II", ">": b"MM"}[order]
    table = b"".join(struct.pack(f"{order}LLLHH", 0x30000, size, place, 0, 0) for size, place in entries)
    body = mark + struct.pack(f"{order}HLH", 42, 8, 3)
    body += struct.pack(f"{order}HHL4s", 0xB000, 7, 4, b"0100") + struct.pack(
        f"{order}HHLL", 0xB001, 4, 1, len(entries)
    )
    body += struct.pack(f"{order}HHLLL", 0xB002, 7, len(table), 50, 0) + table
    return b"\xff\xe2" + struct.pack(">H", len(body) + 6) + b"MPF\0" + body


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_first_picture_is_larger_and_the_others_are_farther(order):
    old = index(order, (1000, 0), (300, 950), (20, 1250))
    assert moved(old, 70, 40) == index(order, (1070, 0), (300, 990), (20, 1290))
    assert moved(old, -70, -40) == index(order, (930, 0), (300, 910), (20, 1210))
    assert moved(old, 0, 0) == old


@pytest.mark.parametrize("segment", [b"\xff\xe2\0\x06ICC_", b"\xff\xe2\0\x08MPF\0XX", index("<", (9, 0))[:40]])
def test_what_is_no_whole_index_stays(segment):
    assert moved(segment, 7, 7) == segment

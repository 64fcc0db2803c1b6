"""The index of a JPEG that holds several pictures (CIPA DC-007): where the others lie, such as a gain map for HDR."""

import struct

_HEAD = 4 + len(b"MPF\0")  # marker, size and name of the segment
_ENTRIES, _ENTRY = 0xB002, 16


def moved(segment: bytes, larger: int, farther: int) -> bytes:
    """Return the index of a file whose first picture has become larger; another segment as it is.

    An index in a form that is not known stays as it is.

    Args:
        segment: an APP2 segment from its marker on.
        larger: bytes by which the first picture has grown.
        farther: bytes by which the other pictures are farther from the index than before.
    """
    if segment[4:_HEAD] != b"MPF\0":
        return segment
    index = bytearray(segment[_HEAD:])
    order = {b"II": "<", b"MM": ">"}.get(bytes(index[:2]))
    if order is None:
        return segment
    try:
        (start,) = struct.unpack_from(f"{order}L", index, 4)
        (count,) = struct.unpack_from(f"{order}H", index, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, _, size, place = struct.unpack_from(f"{order}HHLL", index, at)
            if tag != _ENTRIES:
                continue
            for entry in range(place, place + size, _ENTRY):
                length, offset = struct.unpack_from(f"{order}LL", index, entry + 4)
                if offset:
                    struct.pack_into(f"{order}L", index, entry + 8, offset + farther)
                elif entry == place:  # the first picture begins where the file does
                    struct.pack_into(f"{order}L", index, entry + 4, length + larger)
    except struct.error:  # the index leads outside of itself
        return segment
    return segment[:_HEAD] + bytes(index)

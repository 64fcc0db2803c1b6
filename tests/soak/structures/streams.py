"""Compressed streams that unpack to far more than they take, without packing all of it."""

import zlib

import numpy as np

_ADLER = 65521


def deflated(block: bytes, times: int) -> bytes:
    """Give zlib's stream of a block repeated: the block is packed once."""
    pack = zlib.compressobj(9)
    head = pack.compress(b"") + pack.flush(zlib.Z_FULL_FLUSH)
    packed = pack.compress(block) + pack.flush(zlib.Z_FULL_FLUSH)
    head, packed = (head[:2], packed) if head[:2] == b"\x78\xda" else (b"\x78\xda", packed.removeprefix(b"\x78\xda"))
    once = zlib.adler32(block)
    step, first = (once & 0xFFFF) - 1, once >> 16
    low = (1 + times * step) % _ADLER
    high = (times * first + len(block) * step * (times * (times - 1) // 2)) % _ADLER
    return head + packed * times + b"\x03\x00" + ((high << 16) | low).to_bytes(4, "big")


def _codes_of_run(first_free: int, last: int) -> list[int]:
    """LZW's codes of one symbol repeated: each stands for one symbol more than the code before."""
    return [0, *range(first_free, last + 1)]


def gif_lzw(symbols: int) -> bytes:
    """Give GIF's LZW of a run of zeros in 8 bits: the full table is kept and its longest code repeated."""
    codes = [256, *_codes_of_run(258, 4095)]
    symbols_in_table = sum(range(1, 4096 - 258 + 2))
    more = max(0, -(-(symbols - symbols_in_table) // (4096 - 258 + 1)))
    bits = []
    width, free = 9, 257
    for code in codes:
        bits += [(code >> place) & 1 for place in range(width)]
        if code != 256:
            free += 1
            width = min(12, max(9, free.bit_length()))
    return np.packbits(bits + [1] * (12 * more) + _bits(257, 12)[::-1], bitorder="little").tobytes()


def tiff_lzw(symbols: int) -> bytes:
    """Give TIFF's LZW of a run of zeros: the table is cleared whenever it is full."""
    bits = _bits(256, 9)
    width, free = 9, 257
    for code in _codes_of_run(258, 4092):
        bits += _bits(code, width)
        free += 1
        width = min(12, max(9, (free + 1).bit_length()))
    symbols_in_table = sum(range(1, 4092 - 258 + 3))
    # The clear code that opens each cycle after the first has the width of the cycle before
    cycle = np.array(bits[9:] + _bits(256, 12), np.uint8)
    stream = np.concatenate([np.array(_bits(256, 9), np.uint8), np.tile(cycle, -(-symbols // symbols_in_table))])
    return np.packbits(np.concatenate([stream, np.array(_bits(257, 9), np.uint8)])).tobytes()


def packbits(length: int) -> bytes:
    """Give PackBits of zeros, 128 by two bytes."""
    return b"\x81\x00" * -(-length // 128)


def _bits(value: int, width: int) -> list[int]:
    return [(value >> place) & 1 for place in range(width - 1, -1, -1)]

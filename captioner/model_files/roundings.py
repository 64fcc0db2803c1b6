"""The roundings of kernels to int8 in a file: the direction in which each weight is rounded, without weights or photos.

A rounding is known by a checksum of the kernel that it was found for, so that a file may hold those of several
networks, and none is taken for another kernel.
"""

import hashlib
import io
import lzma
import math
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from captioner.errors import CaptionerError
from captioner.model_files.convolution import Convolution, Rounding

MOST_WEIGHTS = 200_000_000
"""Weights that the kernels of a file may have together; InceptionV3 has 22 million."""


def kernel_key(convolution: Convolution) -> str:
    """Return a digest of a kernel's values."""
    return hashlib.blake2b(np.ascontiguousarray(convolution.kernel, "<f4").tobytes(), digest_size=8).hexdigest()


def pack_roundings(roundings: Mapping[str, Rounding]) -> bytes:
    """Return roundings, by the keys of their kernels, as the content of a file."""
    steps = np.concatenate([each.steps.ravel() for each in roundings.values()])
    file = io.BytesIO()
    np.savez(
        file,
        keys=np.array([bytes.fromhex(key) for key in roundings], "S8").view(np.uint8),
        shapes=np.array([each.steps.shape for each in roundings.values()], "<i4"),
        steps=np.frombuffer(lzma.compress(steps.tobytes(), format=lzma.FORMAT_XZ, preset=6), np.uint8),
        narrow=np.packbits(np.concatenate([each.narrow for each in roundings.values()])),
        shift=np.concatenate([each.shift for each in roundings.values()]).astype("<f2"),
    )
    return file.getvalue()


def load_roundings(path: Path) -> dict[str, Rounding]:
    """Read a file with the content of `pack_roundings`.

    Raises:
        CaptionerError: the file is damaged.
        OSError: there is no such file.
    """
    content = path.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise ValueError("its arrays are compressed")  # and may unpack to any size
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in ("keys", "shapes", "steps", "narrow", "shift")}
        return dict(_unpacked(**arrays))
    except (
        ValueError,
        LookupError,
        EOFError,
        TypeError,
        MemoryError,  # of a header that declares an enormous array
        zipfile.BadZipFile,
        lzma.LZMAError,
    ) as error:
        raise CaptionerError(f"{path} is damaged ({error}); copy it again") from error


def _unpacked(
    keys: np.ndarray, shapes: np.ndarray, steps: np.ndarray, narrow: np.ndarray, shift: np.ndarray
) -> Iterable[tuple[str, Rounding]]:
    sizes = [math.prod(shape) for shape in shapes.tolist()]
    total = sum(sizes)
    if total > MOST_WEIGHTS or (shapes < 1).any():
        raise ValueError(f"its kernels have {total} weights")
    content = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=64 << 20).decompress(steps.tobytes(), total + 1)
    if len(content) != total:
        raise ValueError(f"expected {total} steps, found {len(content)}")
    channels = int(shapes[:, 0].sum())
    if len(shift) != channels or len(narrow) != -(-channels // 8):
        raise ValueError(f"expected {channels} channels, found {len(shift)} shifts and {8 * len(narrow)} bits")
    flat, wide = np.frombuffer(content, np.int8), np.unpackbits(narrow).astype(bool)
    weight = channel = 0
    for key, shape, size in zip(keys.reshape(-1, 8), shapes.tolist(), sizes, strict=True):
        to = channel + shape[0]
        yield (
            key.tobytes().hex(),
            Rounding(flat[weight : weight + size].reshape(shape), wide[channel:to], shift[channel:to]),
        )
        weight, channel = weight + size, to

"""Weights as named arrays in one file, readable without a framework."""

import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from captioner.errors import CaptionerError
from captioner.system.atomic import atomic_write
from captioner.system.files import open_regular


def save_weights(path: Path, weights: Mapping[str, np.ndarray]) -> None:
    """Write named arrays atomically, in alphabetical order, so that equal arrays give equal bytes.

    Raises:
        OSError: the directory cannot be written to, or the disk is full.
    """
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **dict(sorted(weights.items())))  # type: ignore[arg-type]  # NumPy's stub takes every name for a flag's


def read_weights(path: Path, shapes: Mapping[str, tuple[int, ...]], kind: Any = np.floating) -> dict[str, np.ndarray]:
    """Read the arrays that `shapes` names, and no more; the archive's own checksums are compared.

    Args:
        path: the file.
        shapes: of the arrays, by name.
        kind: what their numbers must be, one of NumPy's abstract types.

    Raises:
        CaptionerError: the file is missing or damaged, or holds arrays of other shapes, or what is no number.
    """
    try:
        with open_regular(path) as raw, zipfile.ZipFile(raw) as archive:
            refuse_more_than(path, sum(_expect(archive, path, name, shape, kind) for name, shape in shapes.items()))
            return {name: _read(archive, name) for name in shapes}
    except (
        OSError,
        LookupError,
        ValueError,
        EOFError,
        TypeError,
        RuntimeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise CaptionerError(f"the weights {path} cannot be read ({error}); copy them again, or train again") from error


def refuse_more_than(path: Path, asked: int) -> None:
    """Raise where arrays would take more bytes than the file that they are to come from.

    Nothing that is written here is compressed, so such a file is another model's, or made to take all memory.

    Raises:
        ValueError: they would.
        OSError: there is no such file.
    """
    if asked > (size := path.stat().st_size):
        raise ValueError(f"the arrays that config.json expects take {asked} bytes, but the file has {size}")


def refuse_what_is_no_number(name: str, values: np.ndarray) -> None:
    """Raise where an array of floats holds NaN, or what is infinite in single precision.

    Raises:
        ValueError: it does.
    """
    if values.dtype.kind != "f" or not values.size:
        return
    if values.itemsize == 2:  # as `np.isfinite` does it, five times as fast
        bits = values.view(np.dtype(np.uint16).newbyteorder(values.dtype.byteorder))
        finite = bool((bits & 0x7FFF).max() < 0x7C00)
    elif values.itemsize == 4:
        finite = bool(np.isfinite(values).all())
    else:
        finite = bool((np.abs(values) <= np.finfo(np.float32).max).all())
    if not finite:
        raise ValueError(f"{name} holds NaN or infinite numbers: the training that wrote it had diverged")


def _read(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(f"{name}.npy") as file:
        values: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
        if file.read(1):  # and so its checksum has been compared
            raise ValueError(f"{name} holds more than its array")
    refuse_what_is_no_number(name, values)
    return values


def _expect(archive: zipfile.ZipFile, path: Path, name: str, shape: tuple[int, ...], kind: Any) -> int:
    """Check the declared shape and type of an array before any memory is allocated for it, and return its bytes.

    Raises:
        CaptionerError: its shape is another one, or its numbers are of another kind.
    """
    with archive.open(f"{name}.npy") as file:
        np.lib.format.read_magic(file)  # 1.0, as NumPy writes all but the oddest
        found, _, numbers = np.lib.format.read_array_header_1_0(file)
    if found != shape or not np.issubdtype(numbers, kind):
        raise CaptionerError(
            f"the weights {path}: {name} is {numbers} {found}, but config.json expects {shape}; train again"
        )
    return int(math.prod(shape)) * numbers.itemsize

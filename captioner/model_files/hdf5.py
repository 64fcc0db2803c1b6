"""Read the arrays of an HDF5 weights file, after checking their sizes and that none links to another file."""

import math
from pathlib import Path

import h5py
import numpy as np

from captioner.system.files import open_regular

MOST_OBJECTS = 100_000

NUMBERS = "biuf"
"""What NumPy calls the kinds of numbers that a weights file holds. Texts may have any length, and stand elsewhere."""


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return all arrays by their full names, such as `decoder/place/vars/0`.

    HDF5 lets a small file hold an array of any size, compressed or not written at all, in pieces of any size, of which
    one is unpacked whole; and it lets links and arrays stand for other files of the machine. What Keras writes is not
    compressed, so that its arrays take no more than the file.

    Args:
        path: the file.

    Raises:
        ValueError: it holds a link to another place, an array kept elsewhere, what are no numbers, one thing under two
            names, or more than fits in it.
        OSError: it is no HDF5 file, or damaged, or no file.
    """
    open_regular(path).close()
    total, most = 0, path.stat().st_size
    arrays: dict[str, h5py.Dataset] = {}
    with h5py.File(path) as file:
        groups: list[h5py.Group] = [file]
        seen = {h5py.h5o.get_info(file.id).addr}
        while groups:
            group = groups.pop()
            for name in group:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise ValueError(f"{name!r} is a link")
                found = group[name]
                address = h5py.h5o.get_info(found.id).addr
                if address in seen:  # which may lead in a circle
                    raise ValueError(f"{name!r} has another name too")
                seen.add(address)
                if isinstance(found, h5py.Group):
                    groups.append(found)
                elif isinstance(found, h5py.Dataset):
                    arrays[found.name.lstrip("/")] = found
                    total += _bytes(name, found)
                if total > most or len(seen) > MOST_OBJECTS:
                    raise ValueError(f"its arrays take more than the {most} bytes that it has")
        return {name: array[()] for name, array in arrays.items()}


def _bytes(name: str, array: h5py.Dataset) -> int:
    """Return what reading an array takes: its numbers, or one of the pieces that it is cut into where that is larger.

    Raises:
        ValueError: it is kept in another file, or holds no numbers.
    """
    if array.external or array.is_virtual:
        raise ValueError(f"{name!r} is kept in another file")
    if array.dtype.kind not in NUMBERS:
        raise ValueError(f"{name!r} holds {array.dtype}, and no numbers")
    return int(max(array.size or 0, math.prod(array.chunks or ())) * array.dtype.itemsize)

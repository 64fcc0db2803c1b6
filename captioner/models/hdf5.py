"""Look through a weights file of HDF5 before anything in it is given memory or followed."""

from pathlib import Path

import h5py

MOST_OBJECTS = 100_000


def refuse_hostile(path: Path, most: int) -> None:
    """Raise where a file's arrays take more than they can, or lead out of it.

    HDF5 lets a small file hold an array of any size, compressed or not written at all, and lets links and arrays stand
    for other files of the machine.

    Args:
        path: the file.
        most: bytes that all its arrays may take together.

    Raises:
        ValueError: it holds a link to another place, an array kept elsewhere, or too much.
        OSError: it is no HDF5 file, or damaged.
    """
    total = seen = 0
    with h5py.File(path) as file:
        groups: list[h5py.Group] = [file]
        while groups:
            group = groups.pop()
            for name in group:
                seen += 1
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise ValueError(f"{name!r} is a link")
                found = group[name]
                if isinstance(found, h5py.Group):
                    groups.append(found)
                elif isinstance(found, h5py.Dataset):
                    if found.external or found.is_virtual:
                        raise ValueError(f"{name!r} is kept in another file")
                    total += found.size * found.dtype.itemsize
                if total > most or seen > MOST_OBJECTS:
                    raise ValueError(f"its arrays take more than the {most} bytes that they should")

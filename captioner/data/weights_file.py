"""Weights as arrays by name in one file, which needs no framework to be read."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from captioner.errors import CaptionerError
from captioner.files import replacing


def save_weights(path: Path, weights: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name, whole or not at all.

    Raises:
        OSError: the directory cannot be written to, or the disk is full.
    """
    with replacing(path) as beside, beside.open("wb") as file:
        np.savez(file, **weights)  # type: ignore[arg-type]  # NumPy's stub takes every name for a flag's


def read_weights(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Read the arrays that `shapes` names, and no more; the archive's own checksums are compared.

    Raises:
        CaptionerError: the file is missing or damaged, or holds arrays of other shapes.
    """
    try:
        with path.open("rb") as raw, zipfile.ZipFile(raw) as archive:
            for name, shape in shapes.items():
                _expect(archive, path, name, shape)
            raw.seek(0)
            with np.load(raw, allow_pickle=False) as file:
                weights = {name: file[name] for name in shapes}
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
    return weights


def _expect(archive: zipfile.ZipFile, path: Path, name: str, shape: tuple[int, ...]) -> None:
    """Look at what an array says it is, before it is given the memory that it asks for.

    Raises:
        CaptionerError: its shape is another one, or its numbers are no floats.
    """
    with archive.open(f"{name}.npy") as file:
        np.lib.format.read_magic(file)  # 1.0, as NumPy writes all but the oddest
        found, _, kind = np.lib.format.read_array_header_1_0(file)
    if found != shape or not np.issubdtype(kind, np.floating):
        raise CaptionerError(
            f"the weights {path}: {name} is {kind} {found}, but config.json expects {shape}; train again"
        )

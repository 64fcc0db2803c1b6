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
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            weights = {name: file[name] for name in shapes}
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, TypeError) as error:
        raise CaptionerError(f"the weights {path} cannot be read ({error}); copy them again, or train again") from error
    for name, shape in shapes.items():
        if weights[name].shape != shape or not np.issubdtype(weights[name].dtype, np.floating):
            found = f"{weights[name].dtype} {weights[name].shape}"
            raise CaptionerError(f"the weights {path}: {name} is {found}, but config.json expects {shape}; train again")
    return weights

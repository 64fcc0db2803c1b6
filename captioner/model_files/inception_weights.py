"""Read InceptionV3's convolutions from a Keras weights file, without Keras."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from captioner.errors import CaptionerError
from captioner.model_files.convolution import Convolution

CONVOLUTION, NORMALISATION = "conv2d", "batch_normalization"
NORM_WEIGHTS = ("beta", "moving_mean", "moving_variance")


def numbered(kind: str, number: int) -> str:
    """Return a layer's name in Keras's weights files: its kind, and its number among those."""
    return f"{kind}_{number}" if number else kind


def read_convolutions(path: Path, count: int) -> list[Convolution]:
    """Read the first convolutions of InceptionV3, batch normalisation folded in.

    Both of Keras's layouts are known: the older, in which its ImageNet weights are published, lists layers in an
    attribute; the newer (`.weights.h5`) numbers the layers of each kind.

    Args:
        path: the file.
        count: how many convolutions, in the order of the network's layers.

    Raises:
        CaptionerError: the file is missing or damaged, or does not hold that many.
    """
    import h5py  # which a start with a prepared encoder has no use for

    from captioner.model_files.hdf5 import read_arrays

    try:
        arrays = read_arrays(path)
        with h5py.File(path) as file:
            names = [_text(name) for name in file.attrs.get("layer_names", ())]
        layers = _published(arrays, names) if names else _by_number(arrays, count)
        return [Convolution.folded(*layers[number]) for number in range(count)]
    except Exception as error:  # of a damaged file h5py raises nearly anything
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise CaptionerError(
            f"--encoder-weights: {path} does not hold the weights of InceptionV3 without top ({reason}); name a file "
            "of this network, or leave the setting out for Keras's own"
        ) from error


def _published(arrays: Mapping[str, np.ndarray], names: list[str]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return kernel and normalisation of each convolution, from arrays such as `conv2d_94/conv2d_94/kernel:0`."""
    layers: dict[str, dict[str, np.ndarray]] = {name: {} for name in names}
    for place, values in arrays.items():
        layer, *_, weight = place.split("/")
        layers[layer][weight.removesuffix(":0")] = values
    kernels = [layer["kernel"] for layer in layers.values() if "kernel" in layer]
    norms = [np.stack([layer[name] for name in NORM_WEIGHTS]) for layer in layers.values() if NORM_WEIGHTS[0] in layer]
    return list(zip(kernels, norms, strict=True))


def _by_number(arrays: Mapping[str, np.ndarray], count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return kernel and normalisation of each convolution, from arrays such as `layers/conv2d_93/vars/0`."""

    def values(kind: str, number: int, variable: int) -> np.ndarray:
        return arrays[f"layers/{numbered(kind, number)}/vars/{variable}"]

    return [
        (values(CONVOLUTION, number, 0), np.stack([values(NORMALISATION, number, each) for each in range(3)]))
        for number in range(count)
    ]


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)

"""Model directories of version 1: four records of checksums, and weights in Keras's HDF5 files.

They are read as version 2 would describe them (`described`), so that `model_files.directory` knows one layout. Only the
names inside the HDF5 files differ: Keras numbers the variables of a layer, and the layers of a kind.
"""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from captioner.config.serialization import load_config
from captioner.errors import CaptionerError
from captioner.model_files.weights_file import refuse_what_is_no_number
from captioner.system.checksums import checksum_file

DECODER, TUNED, BUNDLE = FILES = ("decoder.weights.h5", "encoder.weights.h5", "bundle.json")
"""The files that version 2 does not have: the decoder's weights, those of layers trained along, and what an export for
LiteRT consists of."""

LAYERS = {
    "place": ("place", "parts/dense"),
    "place_norm": ("place_norm", "parts/layer_normalization"),
    "start_0": ("start/dense", "parts/dense_1"),
    "start_1": ("start/dense_1", "parts/dense_2"),
}
"""Where layers of the decoder are that do not go by their own names, before and since it listed its parts."""

VARIABLES = {
    ("batch_normalization", 3): ("beta", "moving_mean", "moving_variance"),
    ("batch_normalization", 4): ("gamma", "beta", "moving_mean", "moving_variance"),
    ("layer_normalization", 2): ("gamma", "beta"),
    ("layer_scale", 1): ("gamma",),
    ("separable_conv2d", 2): ("depthwise_kernel", "pointwise_kernel"),
    ("separable_conv2d", 3): ("depthwise_kernel", "pointwise_kernel", "bias"),
}
"""The variables of a layer of Keras by its kind and their number; of all others they are `kernel` and `bias`."""


def described(directory: Path, value: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a `config.json` of version 1 under the names of version 2.

    Raises:
        CaptionerError: `bundle.json` or the vocabulary cannot be read.
    """
    is_char_model = "char_lm" in value
    manifest = {
        "vocabulary.json": _part(value, "vocabulary", "checksum") or _checksum(directory / "vocabulary.json"),
        "encoder.tflite": _part(value, "files", "encoder"),
        "decoder.npz": _part(value, "files", "decoder"),
        "weights.npz" if is_char_model else DECODER: _part(value, "checksums", "weights"),
        TUNED: _part(value, "checksums", "encoder"),
    }
    if (directory / BUNDLE).exists():
        bundle = load_config(directory / BUNDLE).get("bundle")
        if _part({"bundle": bundle}, "bundle", "weights") == manifest.get(DECODER):  # else of an earlier training here
            manifest |= {"encoder.tflite": _part(bundle, "encoder"), "decoder.npz": _part(bundle, "decoder")}
            if not (directory / DECODER).exists():
                manifest |= {DECODER: None, TUNED: None}
    return {
        "kind": "char_lm" if is_char_model else "captioner",
        "model": value.get("char_lm" if is_char_model else "model"),
        "manifest": {name: known for name, known in manifest.items() if known},
        "tensors": _part(value, "files", "tensors") or {},
    }


def _part(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _checksum(path: Path) -> str:
    """Return the checksum of a vocabulary of which older files know none."""
    try:
        return checksum_file(path)
    except OSError as error:
        raise CaptionerError(f"cannot read the vocabulary {path}: {error.strerror}") from error


def read_decoder(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Read a decoder's weights by the names of `model_files.decoder_weights.weight_shapes`.

    Raises:
        CaptionerError: the file is damaged, hostile, or of another model.
    """
    arrays, counts, found = _read(path), Counter[str](), {}
    for name in shapes:
        layer = name.rpartition("/")[0]
        for group in LAYERS.get(layer, (layer,)):
            if (place := f"decoder/{group}/vars/{counts[layer]}") in arrays:
                found[name] = arrays[place]
        counts[layer] += 1
    return _fitted(path, found, shapes)


def read_tuned(path: Path, shapes: Mapping[str, tuple[int, ...]] | None = None) -> dict[str, np.ndarray]:
    """Read the weights of the last layers of an encoder by the names of `models.directory.layer_variables`.

    Raises:
        CaptionerError: the file is damaged, hostile, or of other layers.
    """
    layers: dict[str, dict[int, np.ndarray]] = {}
    for name, values in _read(path).items():
        layer, _, number = name.replace("layers/", "").removeprefix("functional/").rpartition("/vars/")
        if number.isdecimal():
            layers.setdefault(layer, {})[int(number)] = values
    found: dict[str, np.ndarray] = {}
    for layer, variables in layers.items():
        kind = re.sub(r"_\d+$", "", layer.rpartition("/")[2])
        names = VARIABLES.get((kind, len(variables)), ("kernel", "bias"))
        found |= {f"{layer}/{name}": variables[number] for number, name in enumerate(names) if number in variables}
    return found if shapes is None else _fitted(path, found, shapes)


FORMER = {"decoder.npz": (DECODER, read_decoder), "encoder.npz": (TUNED, read_tuned)}
"""What version 1 has in the place of the arrays of version 2."""


def _fitted(
    path: Path, arrays: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
    for name, shape in shapes.items():
        found = arrays[name].shape if name in arrays else "missing"
        if found != shape:
            raise CaptionerError(f"the weights {path}: {name} is {found}, but config.json expects {shape}; train again")
    return {name: arrays[name] for name in shapes}


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        from captioner.model_files.hdf5 import read_arrays  # version 2 has no use for HDF5

        arrays = read_arrays(path)
        for name, values in arrays.items():
            refuse_what_is_no_number(name, values)
    except Exception as error:  # h5py raises many kinds; to a user they mean the same
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise CaptionerError(
            f"the weights {path} cannot be read ({reason}); copy the directory again, or train again"
        ) from error
    return arrays

"""What prediction without TensorFlow reads in the place of Keras's files: made once, kept in the cache, checked.

A bundle is two files, since models share their encoder: the encoder as a network for LiteRT and as one for ONNX
Runtime, and the decoder's weights as arrays. Each is an archive whose checksums are compared on reading, and is named
after all that went into it, so that another model or another weights file makes another one, and a damaged one is made
again.

A model directory may bring its own, which needs no cache, no encoder's weights and no Keras: `encoder.tflite` and
`decoder.npz`. Those of a compact model are all the weights that it has, and `config.json` knows their checksums; where
they were made of other files, `bundle.json` does.
"""

import contextlib
import dataclasses
import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from captioner.checksums import BundleChecksums, Checksums, CompactFiles, checksum, checksum_file, read_checked
from captioner.config import DecoderConfig, EncoderConfig, ModelConfig
from captioner.config_io import load_config, save_config
from captioner.data.model_files import ARRAYS, BUNDLE, CONFIG, NETWORK, is_compact, read_files
from captioner.data.network_trial import refuse_harmful, remember
from captioner.data.weights_file import read_weights, save_weights
from captioner.errors import CaptionerError
from captioner.files import atomic_write, cache_directory, read_json, write_json
from captioner.runtime.decoder import weight_shapes

FORMAT = 2
"""Whatever changes the files, or what the conversion makes of the same networks, must change this number."""

ONNX = "encoder.onnx"


def encoder_path(config: EncoderConfig, weights: str, tuned: str) -> Path | None:
    """Name the file of the encoder with weights from the file `weights`, or Keras's own ("imagenet").

    `tuned` is the checksum of the layers that were trained along, empty where none were. None where there is no such
    file of weights.
    """
    try:
        identity = weights if weights == "imagenet" else file_identity(Path(weights))
    except OSError:
        return None
    return _path("encoder", ".zip", config=dataclasses.asdict(config), weights=identity, tuned=tuned)


def decoder_path(config: DecoderConfig, weights: Checksums) -> Path:
    """Name the file of the decoder with the weights that a model directory keeps under this checksum."""
    return _path("decoder", ".npz", config=dataclasses.asdict(config), weights=weights.weights)


def save_encoder(path: Path, network: bytes, onnx: bytes | None = None) -> None:
    """Write an encoder as a network for LiteRT, and as one for ONNX Runtime if there is one, whole or not at all.

    Raises:
        OSError: the directory cannot be written to, or the disk is full.
    """
    with atomic_write(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr(NETWORK, network)
        if onnx is not None:
            archive.writestr(ONNX, onnx)


def read_encoder(path: Path) -> bytes | None:
    """Read a LiteRT network; None where there is none, or a damaged one."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(NETWORK)
    except Exception:  # a damaged archive raises nearly anything
        return None


def read_onnx(path: Path) -> bytes | None:
    """Read a network for ONNX Runtime; None where the encoder was kept without one.

    Raises:
        CaptionerError: it is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(ONNX) if ONNX in archive.namelist() else None
    except Exception as error:  # a damaged archive raises nearly anything
        raise CaptionerError(f"{ONNX} in {path} is damaged ({error})") from error


def save_decoder(path: Path, weights: Mapping[str, np.ndarray]) -> None:
    """Write a decoder's weights by name, whole or not at all.

    Raises:
        OSError: the directory cannot be written to, or the disk is full.
    """
    save_weights(path, weights)


def read_decoder(path: Path, config: DecoderConfig) -> dict[str, np.ndarray] | None:
    """Read a decoder's weights by name; None where there are none, or damaged ones."""
    try:
        return read_weights(path, weight_shapes(config))
    except CaptionerError:
        return None


def write_ready(directory: Path, network: bytes, arrays: Mapping[str, np.ndarray], weights: Checksums) -> None:
    """Put a bundle into a model directory; `weights` is the checksum of the file that the arrays were made of.

    Raises:
        OSError: the directory cannot be written to, or the disk is full.
    """
    with atomic_write(directory / NETWORK) as temporary:
        temporary.write_bytes(network)
    save_weights(directory / ARRAYS, arrays)
    encoder, decoder = (checksum((directory / name).read_bytes()) for name in (NETWORK, ARRAYS))
    remember(encoder)
    save_config(directory / BUNDLE, bundle=BundleChecksums(encoder, decoder, weights.weights))


def read_ready(directory: Path, config: ModelConfig) -> tuple[bytes, dict[str, np.ndarray]] | None:
    """Read the encoder's network and the decoder's weights from the bundle in a model directory.

    None where there is no bundle, or one of another model than the directory's `config.json` tells of, such as a
    training in the same place leaves. A compact model always has one: it is its weights.

    Raises:
        CaptionerError: the bundle is damaged, or its network is not one that LiteRT can run.
    """
    expected: CompactFiles | BundleChecksums
    if is_compact(config):
        expected, known_to = read_files(directory), CONFIG
    elif is_ready(directory, config):
        expected, known_to = load_config(directory / BUNDLE, "bundle", BundleChecksums), BUNDLE
    else:
        return None
    network = read_checked(directory / NETWORK, expected.encoder, known_to)
    read_checked(directory / ARRAYS, expected.decoder, known_to)
    refuse_harmful(network, expected.encoder, directory)
    return network, read_weights(directory / ARRAYS, weight_shapes(config.decoder))


def is_ready(directory: Path, config: ModelConfig) -> bool:
    """Tell whether a model directory has a bundle of the model that its `config.json` tells of; see `read_ready`."""
    if is_compact(config) or not (directory / BUNDLE).exists():
        return is_compact(config)
    made_of = load_config(directory / BUNDLE, "bundle", BundleChecksums).weights
    return made_of == load_config(directory / CONFIG, "checksums", Checksums).weights


def file_identity(path: Path) -> str:
    """Name a file by its content, which is read when its size, its times or its place on the disk have changed.

    A file of 87 MB takes longer to read than a photo to caption, so a note of what was found is kept.

    Raises:
        OSError: there is no such file.
    """
    path = path.resolve()
    status = path.stat()
    seen = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    note = _path("note", ".json", file=str(path))
    try:
        known = read_json(note, "note")
        if known["seen"] == seen:
            return str(known["content"])
    except (CaptionerError, LookupError, TypeError):
        pass
    content = checksum_file(path)
    with contextlib.suppress(OSError):  # without a note the file is read each time
        write_json(note, {"seen": seen, "content": content})
    return content


def _path(kind: str, suffix: str, **parts: Any) -> Path:
    """Name a file in the cache after what it is made of."""
    identity = json.dumps({"format": FORMAT, **parts}, sort_keys=True).encode()
    return cache_directory() / "litert" / f"{kind}-{hashlib.blake2b(identity, digest_size=16).hexdigest()}{suffix}"

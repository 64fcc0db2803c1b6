"""Encoders in the cache: prepared once as a network for LiteRT and as one for ONNX Runtime, and checked.

Both are in an archive whose checksums are compared on reading. It is named after all that went into it, so that models
with the same encoder share it, another weights file makes another one, and a damaged one is made again. A model
directory that has its own `encoder.tflite` needs none.
"""

import dataclasses
import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

from captioner.checksums import known_checksum
from captioner.config import EncoderConfig
from captioner.data.model_directory import NETWORK
from captioner.errors import CaptionerError
from captioner.files import atomic_write, cache_directory

FORMAT = 2
"""Whatever changes the files, or what the conversion makes of the same networks, must change this number."""

ONNX = "encoder.onnx"


def encoder_path(config: EncoderConfig, weights: str, tuned: str) -> Path | None:
    """Name the file of the encoder with weights from the file `weights`, or Keras's own ("imagenet").

    `tuned` is the checksum of the layers that were trained along, empty where none were. None where there is no such
    file of weights.
    """
    try:
        identity = weights if weights == "imagenet" else known_checksum(Path(weights))
    except OSError:
        return None
    return _path("encoder", ".zip", config=dataclasses.asdict(config), weights=identity, tuned=tuned)


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


def _path(kind: str, suffix: str, **parts: Any) -> Path:
    """Name a file in the cache after what it is made of."""
    identity = json.dumps({"format": FORMAT, **parts}, sort_keys=True).encode()
    return cache_directory() / "litert" / f"{kind}-{hashlib.blake2b(identity, digest_size=16).hexdigest()}{suffix}"

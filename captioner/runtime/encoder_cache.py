"""Encoders in the cache, prepared once as networks for LiteRT, and checked.

A file is named after all that went into it, so that models with the same encoder share it, another weights file makes
another one, and a damaged one is made again. A model directory that has its own `encoder.tflite` needs none.
"""

import dataclasses
import hashlib
import json
import zipfile
from pathlib import Path

from captioner.config.model import EncoderConfig
from captioner.model_files.directory import NETWORK
from captioner.system.atomic import atomic_write
from captioner.system.checksums import known_checksum
from captioner.system.home import cache_directory

FORMAT = 3
"""Whatever changes the files, or what is made of the same weights, must change this number."""


def encoder_path(config: EncoderConfig, weights: str, tuned: str, precision: str) -> Path | None:
    """Return the path of an encoder's file; None where the file of its weights is not there.

    Args:
        config: which network.
        weights: the file of its weights, or "imagenet" for Keras's own.
        tuned: checksums of what a model has of it, empty where it has nothing.
        precision: see `captioner.config.model.ENCODER_PRECISIONS`.
    """
    try:
        identity = weights if weights == "imagenet" else known_checksum(Path(weights))
    except OSError:
        return None
    parts = {"format": FORMAT, "config": dataclasses.asdict(config), "weights": identity, "tuned": tuned}
    name = json.dumps(parts | {"precision": precision}, sort_keys=True).encode()
    return cache_directory() / "litert" / f"encoder-{hashlib.blake2b(name, digest_size=16).hexdigest()}.zip"


def save_encoder(path: Path, network: bytes) -> None:
    """Write an encoder in an archive, whose checksum is compared on reading, whole or not at all.

    Raises:
        OSError: the directory cannot be written to, or the disk is full.
    """
    with atomic_write(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr(NETWORK, network)


def read_encoder(path: Path) -> bytes | None:
    """Read an encoder; None if there is none, or a damaged one."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(NETWORK)
    except Exception:  # a damaged archive raises nearly anything
        return None

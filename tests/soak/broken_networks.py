"""Load variants of a model whose network has flipped bits, one after the other, and say what comes of each.

python broken_networks.py MODEL PHOTO FOLDER COUNT
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from captioner import Captioner
from captioner.errors import CaptionerError
from captioner.system.checksums import checksum

NUMBERS = 64
"""Bytes of a buffer from which on it holds weights, whose flipped bits do little."""


def structure(network: bytes) -> np.ndarray:
    """Return the places of a network's bytes that are no weights."""
    content = np.frombuffer(network, np.uint8)
    model = schema.Model.GetRootAs(content, 0)
    is_structure = np.ones(len(content), bool)
    for number in range(model.BuffersLength()):
        if (numbers := model.Buffers(number)).DataLength() > NUMBERS:
            values = numbers.DataAsNumpy()
            first = values.__array_interface__["data"][0] - content.__array_interface__["data"][0]
            is_structure[first : first + len(values)] = False
    return np.flatnonzero(is_structure)


def variants(network: bytes, count: int) -> Iterator[bytes]:
    """Flip one bit of a network, or up to eight; three times in four where it tells of itself, else anywhere."""
    rng = np.random.default_rng(0)
    places = structure(network)
    for number in range(count):
        changed = bytearray(network)
        for place in rng.choice(places if number % 4 else len(network), 1 if number % 3 else 1 + number % 8):
            changed[place] ^= 1 << int(rng.integers(8))
        yield bytes(changed)


def main() -> None:
    model, photo, folder = map(Path, sys.argv[1:4])
    for name in ("config.json", "vocabulary.json", "decoder.npz"):
        (folder / name).write_bytes((model / name).read_bytes())
    config = json.loads((model / "config.json").read_text("utf-8"))
    del config["digest"]
    for network in variants((model / "encoder.tflite").read_bytes(), int(sys.argv[4])):
        (folder / "encoder.tflite").write_bytes(network)
        config["manifest"]["encoder.tflite"] = checksum(network)
        (folder / "config.json").write_text(json.dumps(config), "utf-8")
        began = time.monotonic()
        try:
            said = f"captioned: {Captioner.load(folder)(photo)}"
        except CaptionerError as error:
            said = f"refused: {error}"
        print(f"{time.monotonic() - began:.1f}\t{said}", flush=True)


if __name__ == "__main__":
    main()

"""Set the backend and the device before any test imports Keras; give every test the same random numbers."""

import json
import logging
import os
import random
import struct
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

os.environ.update(
    KERAS_BACKEND="tensorflow",
    TF_CPP_MIN_LOG_LEVEL="2",
    ORT_DISABLE_TELEMETRY="1",
    CUDA_VISIBLE_DEVICES="-1",  # numbers are compared to 1e-6, which a GPU's matrix products do not hold
)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        module, _, name = mark.args[0].rpartition(".")
        if not find_spec(module) or not hasattr(import_module(module), name):
            pytest.skip(f"this system has no {mark.args[0]}")


@pytest.fixture(autouse=True)
def seeded() -> None:
    # Keras draws the seeds of its initialisers from `random`.
    random.seed(0)
    np.random.seed(0)
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """What the package logs, and no other library."""
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("captioner")
    logger.addHandler(handler)
    yield messages
    logger.removeHandler(handler)


@pytest.fixture(scope="session")
def quick_graphs() -> Iterator[None]:
    """Spare trainings of a few steps what graphs for long ones take: a copy of the network for each core, a rewrite."""
    import tensorflow as tf

    from captioner.training import devices

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices, "available_cores", lambda: 1)
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
        yield
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})


@pytest.fixture(scope="session")
def slow_photo() -> bytes:
    """A packed BMP of 3.9 megapixels, a run for each pixel, which Pillow unpacks in Python: a second or more."""
    width, height = 60_000, 65
    body = b"\1\5" * (width * height)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(body), 1, 1, 256, 0)
    start = 14 + len(header) + 1024
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + header + bytes(1024) + body


@pytest.fixture
def write_part() -> Callable[..., None]:
    """Returns a function that writes a part as `bulk --features` does: of each photo its features, or what is wrong."""

    def write(directory: Path, photos: Mapping[str, np.ndarray | str], number: int = 0) -> None:
        directory.mkdir(exist_ok=True)
        rows = [np.asarray(found, np.float16) for found in photos.values() if not isinstance(found, str)]
        about = {"format": "features", "encoder": {"network": "InceptionV3"}, "shape": list(rows[0].shape)}
        (directory / "_captioner.json").write_text(json.dumps(about))
        part = directory / f"part-{number:08d}-0123456789abcdef.float16"
        part.write_bytes(b"".join(row.tobytes() for row in rows))
        checksums = iter([zlib.crc32(row.tobytes()) for row in rows])
        lines = [
            {"path": path, "checksum": None, "error": found}
            if isinstance(found, str)
            else {"path": path, "checksum": next(checksums), "error": None}
            for path, found in photos.items()
        ]
        part.with_suffix(".jsonl").write_text(
            "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8"
        )

    return write


@pytest.fixture
def no_inception(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Keras would look for InceptionV3's weights, which are not there, and are named nowhere."""
    from captioner.model_files.encoder_weights import keras_file

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("CAPTIONER_ENCODER_WEIGHTS", raising=False)
    return keras_file()


@pytest.fixture
def inception(no_inception: Path) -> Path:
    """A file of that name and size, for tests that put another network in InceptionV3's place."""
    from captioner.model_files.encoder_weights import SIZE

    no_inception.parent.mkdir(parents=True)
    with no_inception.open("wb") as file:
        file.truncate(SIZE)  # which takes no room on the disk
    return no_inception

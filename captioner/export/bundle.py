"""A model directory that captions photos at once: with a ready bundle, and without what only training needs."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from captioner.checksums import Checksums, checksum_vocabulary
from captioner.config import ModelConfig
from captioner.config_io import load_config, save_config
from captioner.data.model_files import ARRAYS, CONFIG, NETWORK, VOCABULARY, is_compact
from captioner.export.directory import atomic_directory
from captioner.runtime.bundle import write_ready
from captioner.text import Vocabulary


def export_bundle(
    model: Path,
    config: ModelConfig,
    vocabulary: Vocabulary,
    network: bytes,
    arrays: Mapping[str, np.ndarray],
    output: Path,
) -> None:
    """Write the captioning model in the directory `model` as one that needs neither Keras nor the encoder's weights.

    A compact model is one already; what it consists of is copied.

    Args:
        model: what `train.py` wrote.
        config: what the directory says about the model.
        vocabulary: its words.
        network: its encoder, as `captioner.export.litert` makes it.
        arrays: its decoder's weights by name.
        output: the directory to make; a former export there is replaced, whole or not at all.

    Raises:
        CaptionerError: the model cannot be read, or `output` holds something else.
        OSError: `output` cannot be made.
    """
    with atomic_directory(output, format="litert", model="captioner") as temporary:
        if is_compact(config):
            for name in (CONFIG, VOCABULARY, NETWORK, ARRAYS):
                shutil.copyfile(model / name, temporary / name)
            return
        checksums = load_config(model / CONFIG, "checksums", Checksums)
        vocabulary.save(temporary / VOCABULARY)
        known = checksum_vocabulary(temporary / VOCABULARY)
        save_config(temporary / CONFIG, model=config, checksums=checksums, vocabulary=known)
        write_ready(temporary, network, arrays, checksums)

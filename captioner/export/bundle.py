"""A self-contained model directory: with its encoder for LiteRT, and without what only training needs."""

from pathlib import Path

import numpy as np

from captioner.export.directory import atomic_directory
from captioner.model_files.directory import DECODER, INT8_NETWORK, NETWORK, CaptionerDirectory, write_model
from captioner.model_files.network_trial import remember
from captioner.system.checksums import checksum


def export_bundle(model: CaptionerDirectory, network: bytes, fastest: bytes, output: Path) -> None:
    """Write a captioning model as one that needs neither Keras nor the encoder's weights. A compact one is copied.

    Args:
        model: what `train.py` wrote.
        network: its encoder in float32, as a network for LiteRT.
        fastest: the one that photos are read with where nothing else is asked for, which may be the same.
        output: the directory to make; a former export there is replaced, whole or not at all.

    Raises:
        CaptionerError: the model cannot be read, or `output` holds something else.
        OSError: `output` cannot be made.
    """
    files: dict[str, bytes | dict[str, np.ndarray]] = {NETWORK: network, DECODER: model.decoder()}
    if fastest != network:
        files[INT8_NETWORK] = fastest
    with atomic_directory(output, format="litert", model="captioner") as temporary:
        write_model(temporary, model.config, model.vocabulary(), files, model.tensors)
        if known := model.calibration():
            CaptionerDirectory.read(temporary).calibrate(known, model.ngram_regression())
    for each in (network, fastest):
        remember(checksum(each))

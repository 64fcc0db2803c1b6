"""Write the directory of a model with a compact encoder, for LiteRT and Keras alike."""

from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np

from captioner.config.model import ModelConfig
from captioner.export.litert import convert_encoder
from captioner.export.template import find_slots
from captioner.model_files.convolution import Rounding
from captioner.model_files.directory import DECODER, INT8_NETWORK, NETWORK, write_model
from captioner.model_files.network_trial import remember
from captioner.model_files.roundings import kernel_key
from captioner.models.captioner import CaptionModel
from captioner.models.compact_file import find_tensors
from captioner.models.folding import convolutions
from captioner.system.checksums import checksum
from captioner.text import Vocabulary


def save_compact(
    directory: str | Path,
    config: ModelConfig,
    vocabulary: Vocabulary,
    network: CaptionModel,
    encoder: keras.Model,
    roundings: Mapping[str, Rounding] | None = None,
) -> None:
    """Write a model directory; each file is replaced whole. All is in half precision, each number once.

    Args:
        directory: made if it is not there.
        config: both networks' sizes, and how to search.
        vocabulary: the words behind the decoder's numbers.
        network: the decoder, as `captioner.models.folding.rounded` gives it.
        encoder: as `captioner.models.folding.folded` gives it.
        roundings: how its kernels are rounded to int8, by their keys; without them it computes in float32 alone.

    Raises:
        OSError: the directory cannot be written to.
    """
    content = convert_encoder(encoder, half=True)
    tensors = find_tensors(content, encoder)
    arrays = {name: values.astype(np.float16) for name, values in network.named_weights().items()}
    files: dict[str, bytes | dict[str, np.ndarray]] = {NETWORK: content, DECODER: arrays}
    if roundings:
        files[INT8_NETWORK] = int8_network(encoder, roundings)
    for each in files.values():
        if isinstance(each, bytes):
            remember(checksum(each))
    write_model(directory, config, vocabulary, files, tensors)


def int8_network(encoder: keras.Model, roundings: Mapping[str, Rounding]) -> bytes:
    """Return an encoder as a LiteRT network whose kernels are rounded to int8.

    Args:
        encoder: as `captioner.models.folding.folded` gives it.
        roundings: how, by the keys of the kernels.
    """
    original = convolutions(encoder)
    template = find_slots(convert_encoder(encoder, int8=True), original)
    return template.filled(original, [roundings.get(kernel_key(each)) for each in original])

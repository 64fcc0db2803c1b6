"""Write the directory of a model with a compact encoder: small, whole, and ready for LiteRT and Keras alike."""

from pathlib import Path

import keras
import numpy as np

from captioner.checksums import checksum
from captioner.config import ModelConfig
from captioner.data.model_directory import DECODER, NETWORK, write_model
from captioner.data.network_trial import remember
from captioner.export.litert import convert_encoder
from captioner.models.captioner import CaptionModel
from captioner.models.compact_file import find_tensors
from captioner.text import Vocabulary


def save_compact(
    directory: str | Path, config: ModelConfig, vocabulary: Vocabulary, network: CaptionModel, encoder: keras.Model
) -> None:
    """Write a model directory; each file is replaced whole. All is in half precision, each number once.

    Args:
        directory: made if it is not there.
        config: both networks' sizes, and how to search.
        vocabulary: the words behind the decoder's numbers.
        network: the decoder, as `captioner.models.folding.rounded` gives it.
        encoder: as `captioner.models.folding.folded` gives it.

    Raises:
        OSError: the directory cannot be written to.
    """
    content = convert_encoder(encoder, half=True)
    tensors = find_tensors(content, encoder)
    arrays = {name: values.astype(np.float16) for name, values in network.named_weights().items()}
    remember(checksum(content))
    write_model(directory, config, vocabulary, {NETWORK: content, DECODER: arrays}, tensors)

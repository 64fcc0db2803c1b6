"""Write the directory of a model with a compact encoder: small, whole, and ready for LiteRT and Keras alike."""

from pathlib import Path

import keras
import numpy as np

from captioner.checksums import CompactFiles, checksum, checksum_vocabulary
from captioner.config import ModelConfig
from captioner.config_io import save_config
from captioner.data.model_files import ARRAYS, COMPACT_FILES, CONFIG, NETWORK, VOCABULARY
from captioner.data.network_trial import remember
from captioner.data.weights_file import save_weights
from captioner.export.litert import convert_encoder
from captioner.files import atomic_write
from captioner.models.captioner import CaptionModel
from captioner.models.compact_file import find_tensors
from captioner.text import Vocabulary


def save_compact(
    directory: str | Path, config: ModelConfig, vocabulary: Vocabulary, network: CaptionModel, encoder: keras.Model
) -> None:
    """Write a model directory; each file is replaced whole, and the one that knows the others' checksums last.

    Args:
        directory: made if it is not there.
        config: both networks' sizes, and how to search.
        vocabulary: the words behind the decoder's numbers.
        network: the decoder, as `captioner.models.folding.rounded` gives it.
        encoder: as `captioner.models.folding.folded` gives it.

    Raises:
        OSError: the directory cannot be written to.
    """
    directory = Path(directory)
    content = convert_encoder(encoder, half=True)
    tensors = find_tensors(content, encoder)
    vocabulary.save(directory / VOCABULARY)
    with atomic_write(directory / NETWORK) as temporary:
        temporary.write_bytes(content)
    arrays = {name: values.astype(np.float16) for name, values in network.named_weights().items()}
    save_weights(directory / ARRAYS, arrays)
    files = CompactFiles(checksum(content), checksum((directory / ARRAYS).read_bytes()), tensors)
    remember(files.encoder)
    known = checksum_vocabulary(directory / VOCABULARY)
    save_config(directory / CONFIG, **{"model": config, COMPACT_FILES: files, "vocabulary": known})

"""A character model as a directory: configuration, vocabulary and weights, which need no framework to be read."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from captioner.checksums import check_vocabulary, check_weights, checksum_vocabulary, checksum_weights
from captioner.config import CharModelConfig
from captioner.config_io import holds_config, load_config, save_config
from captioner.data.weights_file import read_weights, save_weights
from captioner.errors import CaptionerError
from captioner.runtime.char_network import weight_shapes
from captioner.text import CharacterVocabulary

CONFIG, VOCABULARY, WEIGHTS, NAME = "config.json", "vocabulary.json", "weights.npz", "char_lm"


def is_char_model(directory: Path) -> bool:
    """Tell a character model's directory from that of a captioning model, or of none.

    Raises:
        CaptionerError: its configuration cannot be read.
    """
    return (directory / CONFIG).exists() and holds_config(directory / CONFIG, NAME)


def save_char_model(
    directory: Path, config: CharModelConfig, vocabulary: CharacterVocabulary, weights: Mapping[str, np.ndarray]
) -> None:
    """Write a model directory; each file is replaced whole.

    Args:
        directory: made if it is not there.
        config: the sizes.
        vocabulary: the characters behind the numbers.
        weights: arrays by name, as `weight_shapes` names them.

    Raises:
        OSError: the directory cannot be written to.
    """
    vocabulary.save(directory / VOCABULARY)
    save_weights(directory / WEIGHTS, weights)
    about = {
        NAME: config,
        "checksums": checksum_weights(directory / WEIGHTS),
        "vocabulary": checksum_vocabulary(directory / VOCABULARY),
    }
    save_config(directory / CONFIG, **about)


def load_char_model(directory: Path) -> tuple[CharModelConfig, CharacterVocabulary, dict[str, np.ndarray]]:
    """Read a model directory that `save_char_model` wrote. Nothing in it is executed: JSON, and arrays of numbers.

    Raises:
        CaptionerError: the directory is missing, incomplete, or its parts do not fit each other.
    """
    if not (directory / CONFIG).exists():
        raise CaptionerError(
            f"{directory} is no model directory ({CONFIG} is missing); expected what train.py --task char-lm writes, "
            "such as saved_models/char-lm"
        )
    config = load_config(directory / CONFIG, NAME, CharModelConfig)
    vocabulary = CharacterVocabulary.load(directory / VOCABULARY)
    if len(vocabulary) != config.vocabulary_size:
        raise CaptionerError(
            f"{directory / VOCABULARY} has {len(vocabulary)} tokens, but {CONFIG} expects {config.vocabulary_size}; "
            "the files are from different models"
        )
    check_vocabulary(directory / CONFIG, directory / VOCABULARY)
    check_weights(directory / CONFIG, directory / WEIGHTS)
    return config, vocabulary, read_weights(directory / WEIGHTS, weight_shapes(config))

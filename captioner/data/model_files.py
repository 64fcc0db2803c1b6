"""The files of a captioning model's directory, as far as they can be read without the networks."""

from pathlib import Path

from captioner.config import COMPACT, ModelConfig, check_weights, load_config
from captioner.errors import CaptionerError
from captioner.text import Vocabulary

CONFIG, VOCABULARY, WEIGHTS = "config.json", "vocabulary.json", "decoder.weights.h5"
ENCODER_WEIGHTS, ENCODER_CHECKSUMS = "encoder.weights.h5", "encoder_checksums"
"""Of a compact encoder: its weights, and what CONFIG calls their checksum."""

BUNDLE = "bundle.json"
"""The file that a directory with a ready bundle has; `captioner.runtime.bundle` writes and reads it."""


def own_encoder(directory: Path, config: ModelConfig) -> Path | None:
    """Return the file of the encoder's weights where they are part of the model directory."""
    return directory / ENCODER_WEIGHTS if config.encoder.network == COMPACT else None


def read_config(directory: Path) -> ModelConfig:
    """Read what a model directory says about its model.

    Raises:
        CaptionerError: this is no model directory, or one of another version.
    """
    if not (directory / CONFIG).is_file():
        raise CaptionerError(
            f"{directory} is no model directory ({CONFIG} is missing); expected what train.py writes, such as "
            "saved_models/flickr8k"
        )
    return load_config(directory / CONFIG, "model", ModelConfig)


def read_words(directory: Path) -> tuple[ModelConfig, Vocabulary]:
    """Read a model directory but for the weights.

    Raises:
        CaptionerError: the directory is missing, incomplete, or its parts do not fit each other.
    """
    config = read_config(directory)
    vocabulary = Vocabulary.load(directory / VOCABULARY)
    if len(vocabulary) != config.decoder.vocabulary_size:
        raise CaptionerError(
            f"{directory / VOCABULARY} has {len(vocabulary)} tokens, but {CONFIG} expects "
            f"{config.decoder.vocabulary_size}; the files are from different models"
        )
    return config, vocabulary


def check_networks(directory: Path, config: ModelConfig) -> None:
    """Compare the weights of a model directory with the checksums in its configuration.

    Raises:
        CaptionerError: they are missing, damaged, or from another model.
    """
    if (directory / BUNDLE).is_file() and not (directory / WEIGHTS).exists():
        raise CaptionerError(
            f"{directory} holds a LiteRT bundle alone, which captions photos and no more ({WEIGHTS} is missing); "
            "name the model directory that it was exported from"
        )
    check_weights(directory / CONFIG, directory / WEIGHTS)
    encoder = own_encoder(directory, config)
    if encoder:
        check_weights(directory / CONFIG, encoder, ENCODER_CHECKSUMS)


def check_features(directory: Path, config: ModelConfig, shape: tuple[int, ...]) -> None:
    """Compare the features (L, D) that an encoder gives with those that the decoder was made for.

    Raises:
        CaptionerError: they differ.
    """
    expected = (config.decoder.locations, config.decoder.channels)
    if tuple(shape) != expected:
        raise CaptionerError(
            f"{directory}: the decoder was made for features {expected}, but {config.encoder} gives "
            f"{tuple(shape)}; {CONFIG} was changed by hand, restore it from where it came"
        )

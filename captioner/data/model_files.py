"""The files of a captioning model's directory, as far as they can be read without the networks.

A model that reads with a network of `keras.applications` keeps its decoder (WEIGHTS), and those of the encoder's layers
that were trained along, if any (TUNED). One with a compact encoder
is whole: NETWORK is the encoder as LiteRT runs it, ARRAYS the decoder's weights by name, both in half precision and
each number stored once. So these files are its ready bundle and its weights for Keras alike, and neither can be older
than the other.
"""

from pathlib import Path

from captioner.checksums import Checksums, CompactFiles, check_vocabulary, check_weights, read_checked
from captioner.config import COMPACT, ModelConfig
from captioner.config_io import load_config
from captioner.errors import CaptionerError
from captioner.text import Vocabulary

CONFIG, VOCABULARY, WEIGHTS = "config.json", "vocabulary.json", "decoder.weights.h5"
TUNED = "encoder.weights.h5"
NETWORK, ARRAYS = "encoder.tflite", "decoder.npz"
COMPACT_FILES = "files"
"""What CONFIG calls what it knows of the files of a compact model."""

BUNDLE = "bundle.json"
"""The file that a directory with a bundle made of other files has; `captioner.runtime.bundle` writes and reads it."""


def is_compact(config: ModelConfig) -> bool:
    """Tell whether all of the encoder's weights are part of the model directory."""
    return config.encoder.network == COMPACT


def read_config(directory: Path) -> ModelConfig:
    """Read what a model directory says about its model.

    Raises:
        CaptionerError: this is no model directory, or one of another version.
    """
    if not (directory / CONFIG).exists():
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
    check_vocabulary(directory / CONFIG, directory / VOCABULARY)
    return config, vocabulary


def read_files(directory: Path) -> CompactFiles:
    """Read what a compact model's configuration knows of its files.

    Raises:
        CaptionerError: it knows nothing of them.
    """
    return load_config(directory / CONFIG, COMPACT_FILES, CompactFiles)


def read_checksums(directory: Path, config: ModelConfig) -> dict[str, Checksums | CompactFiles]:
    """Read what a configuration knows of the weights beside it, under the name that it has there.

    Raises:
        CaptionerError: it knows nothing of them.
    """
    if is_compact(config):
        return {COMPACT_FILES: read_files(directory)}
    return {"checksums": load_config(directory / CONFIG, "checksums", Checksums)}


def check_networks(directory: Path, config: ModelConfig) -> None:
    """Compare the weights of a model directory with the checksums in its configuration.

    Raises:
        CaptionerError: they are missing, damaged, or from another model.
    """
    if is_compact(config):
        files = read_files(directory)
        read_checked(directory / NETWORK, files.encoder, CONFIG)
        read_checked(directory / ARRAYS, files.decoder, CONFIG)
        return
    if (directory / BUNDLE).exists() and not (directory / WEIGHTS).exists():
        raise CaptionerError(
            f"{directory} holds a LiteRT bundle alone, which captions photos and no more ({WEIGHTS} is missing); "
            "name the model directory that it was exported from"
        )
    check_weights(
        directory / CONFIG, directory / WEIGHTS, directory / TUNED if config.encoder.fine_tune_after else None
    )


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

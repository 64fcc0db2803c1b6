"""A captioning model as a directory: configuration, vocabulary and weights, so that none is lost without the others."""

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras

from captioner.config import ModelConfig, check_weights, checksum_weights, load_config, save_config
from captioner.errors import CaptionerError
from captioner.files import replacing
from captioner.models.captioner import CaptionModel
from captioner.text import Vocabulary

CONFIG, VOCABULARY, WEIGHTS = "config.json", "vocabulary.json", "decoder.weights.h5"


@dataclass(frozen=True)
class SavedModel:
    """What a model directory holds.

    Attributes:
        config: encoder, decoder sizes, and how to search.
        vocabulary: the words behind the decoder's numbers.
        network: the decoder with its weights; the encoder's weights are not part of the directory.
    """

    config: ModelConfig
    vocabulary: Vocabulary
    network: CaptionModel

    def with_decoding(self, beam_width: int | None = None, length_penalty: float | None = None) -> "SavedModel":
        """Return the same model with those settings of the search replaced that are given."""
        given: dict[str, Any] = {"beam_width": beam_width, "length_penalty": length_penalty}
        changed = {name: value for name, value in given.items() if value is not None}
        return replace(self, config=replace(self.config, decoding=replace(self.config.decoding, **changed)))


def save_model(directory: str | Path, config: ModelConfig, vocabulary: Vocabulary, network: CaptionModel) -> None:
    """Write a model directory; each file is replaced whole, and the optimiser's state is left out.

    Raises:
        OSError: the directory cannot be written to.
    """
    directory = Path(directory)
    vocabulary.save(directory / VOCABULARY)
    bare = CaptionModel(config.decoder)
    bare.set_weights(network.get_weights())
    save_weights(bare, directory / WEIGHTS)
    save_config(directory / CONFIG, model=config, checksums=checksum_weights(directory / WEIGHTS))


def load_model(directory: str | Path) -> SavedModel:
    """Read a model directory that `save_model` wrote. Nothing in it is executed: JSON, and arrays from an HDF5 file.

    Raises:
        CaptionerError: the directory is missing, incomplete, or its parts do not fit each other.
    """
    directory = Path(directory)
    config = read_config(directory)
    vocabulary = Vocabulary.load(directory / VOCABULARY)
    if len(vocabulary) != config.decoder.vocabulary_size:
        raise CaptionerError(
            f"{directory / VOCABULARY} has {len(vocabulary)} tokens, but {CONFIG} expects "
            f"{config.decoder.vocabulary_size}; the files are from different models"
        )
    check_weights(directory / CONFIG, directory / WEIGHTS)
    network = CaptionModel(config.decoder)
    load_weights(network, directory / WEIGHTS)
    return SavedModel(config, vocabulary, network)


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


def save_weights(network: keras.Model, path: Path) -> None:
    """Write a Keras weights file, with the optimiser's state where `network` is compiled, whole or not at all.

    Raises:
        OSError: the directory cannot be written to, or the disk is full.
    """
    optimizer = getattr(network, "optimizer", None)
    variables = [*network.weights, *(optimizer.variables if optimizer else ())]
    values = sum(math.prod(variable.shape) for variable in variables)
    with replacing(path) as beside:
        if hasattr(os, "posix_fallocate"):  # a full disk shows here; HDF5 would crash Python over it
            with beside.open("rb+") as file:
                os.posix_fallocate(file.fileno(), 0, 4 * values + 2048 * len(variables))
        network.save_weights(beside)


def load_weights(network: keras.Model, path: Path) -> None:
    """Fill `network` from a Keras weights file.

    Raises:
        CaptionerError: the file is missing, damaged, or of another shape.
    """
    try:
        network.load_weights(path)
    except Exception as error:  # h5py and Keras raise many kinds; to a user they mean the same
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise CaptionerError(
            f"the weights {path} cannot be read ({reason}); copy them again, or train again"
        ) from error

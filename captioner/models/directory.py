"""A captioning model as a directory: configuration, vocabulary and weights, so that none is lost without the others."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import keras

from captioner.checksums import checksum_vocabulary, checksum_weights
from captioner.config import ModelConfig
from captioner.config_io import save_config
from captioner.data.decoder_weights import weight_shapes
from captioner.data.model_files import (
    ARRAYS,
    CONFIG,
    TUNED,
    VOCABULARY,
    WEIGHTS,
    check_networks,
    is_compact,
    read_words,
)
from captioner.data.weights_file import read_weights, refuse_more_than, refuse_what_is_no_number
from captioner.errors import CaptionerError
from captioner.files import atomic_write
from captioner.models.captioner import CaptionModel
from captioner.models.hdf5 import refuse_hostile
from captioner.text import Vocabulary


@dataclass(frozen=True)
class SavedModel:
    """What a model directory holds.

    Attributes:
        config: encoder, decoder sizes, and how to search.
        vocabulary: the words behind the decoder's numbers.
        network: the decoder with its weights. The encoder is loaded by `captioner.models.networks`.
    """

    config: ModelConfig
    vocabulary: Vocabulary
    network: CaptionModel


def save_model(
    directory: str | Path,
    config: ModelConfig,
    vocabulary: Vocabulary,
    network: CaptionModel,
    tuned: keras.Model | None = None,
) -> None:
    """Write the directory of a model whose encoder is a network of `keras.applications`, without what is frozen of it.

    Each file is replaced whole, and the optimiser's state is left out. `captioner.export.compact` writes the others.

    Args:
        directory: made if it is not there.
        config: what the networks are built from.
        vocabulary: the words behind the decoder's numbers.
        network: the decoder.
        tuned: the encoder's layers behind `fine_tune_after`, if that names one.

    Raises:
        OSError: the directory cannot be written to.
    """
    directory = Path(directory)
    vocabulary.save(directory / VOCABULARY)
    bare = CaptionModel(config.decoder, name="captioner")  # Keras would number them, and the file would hold its number
    bare.set_weights(network.get_weights())
    save_weights(bare, directory / WEIGHTS)
    if tuned is not None:
        save_weights(tuned, directory / TUNED)
    save_config(
        directory / CONFIG,
        model=config,
        checksums=checksum_weights(directory / WEIGHTS, directory / TUNED if tuned is not None else None),
        vocabulary=checksum_vocabulary(directory / VOCABULARY),
    )
    if tuned is None:
        (directory / TUNED).unlink(missing_ok=True)  # of an earlier training in the same place


def load_model(directory: str | Path) -> SavedModel:
    """Read a model directory. Nothing in it is executed: JSON, and arrays from HDF5, NumPy or LiteRT files.

    Raises:
        CaptionerError: the directory is missing, incomplete, or its parts do not fit each other.
    """
    directory = Path(directory)
    config, vocabulary = read_words(directory)
    check_networks(directory, config)
    shapes = weight_shapes(config.decoder)
    if is_compact(config):
        arrays = read_weights(directory / ARRAYS, shapes)
        network = CaptionModel(config.decoder)
        network.take(arrays)
    else:
        with _named(directory / WEIGHTS):  # before the network is given memory
            refuse_more_than(directory / WEIGHTS, 4 * sum(math.prod(shape) for shape in shapes.values()))
        network = CaptionModel(config.decoder)
        load_weights(network, directory / WEIGHTS)
    return SavedModel(config, vocabulary, network)


def save_weights(network: keras.Model, path: Path) -> None:
    """Write a Keras weights file, with the optimiser's state where `network` is compiled, whole or not at all.

    Raises:
        OSError: the directory cannot be written to, or the disk is full.
    """
    optimizer = getattr(network, "optimizer", None)
    variables = [*network.weights, *(optimizer.variables if optimizer else ())]
    values = sum(math.prod(variable.shape) for variable in variables)
    with atomic_write(path) as temporary:
        if hasattr(os, "posix_fallocate"):  # a full disk shows here; HDF5 would crash Python over it
            with temporary.open("rb+") as file:
                os.posix_fallocate(file.fileno(), 0, 4 * values + 2048 * len(variables))
        network.save_weights(temporary)


def load_weights(network: keras.Model, path: Path) -> None:
    """Fill `network` from a Keras weights file.

    Raises:
        CaptionerError: the file is missing, damaged, of another shape, or holds what is no number.
    """
    with _named(path):
        # Some room, since a file may hold the state of an optimiser too, twice as large as the weights
        refuse_hostile(path, 3 * sum(4 * math.prod(weight.shape) for weight in network.weights) + (1 << 20))
        network.load_weights(path)
        for weight in network.weights:
            refuse_what_is_no_number(weight.path, keras.ops.convert_to_numpy(weight))


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong in reading a weights file into a message that names it."""
    try:
        yield
    except Exception as error:  # h5py and Keras raise many kinds; to a user they mean the same
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise CaptionerError(
            f"the weights {path} cannot be read ({reason}); copy them again, or train again"
        ) from error

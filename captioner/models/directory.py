"""Load a Keras captioning model from its directory, and save it there."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from captioner.config.model import ModelConfig
from captioner.model_files.convolution import Rounding
from captioner.model_files.directory import DECODER, ROUNDINGS, TUNED, CaptionerDirectory, write_model
from captioner.model_files.roundings import pack_roundings
from captioner.models.captioner import CaptionModel
from captioner.text import Vocabulary


@dataclass(frozen=True)
class LoadedModel:
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
    roundings: Mapping[str, Rounding] | None = None,
) -> None:
    """Write the directory of a model whose encoder is a network of `keras.applications`, without what is frozen of it.

    Each file is replaced whole. `captioner.export.compact` writes the others.

    Args:
        directory: made if it is not there.
        config: what the networks are built from.
        vocabulary: the words behind the decoder's numbers.
        network: the decoder.
        tuned: the encoder's layers behind `fine_tune_after`, if that names one.
        roundings: how the kernels of these are rounded to int8 for prediction, by their keys.

    Raises:
        OSError: the directory cannot be written to.
    """
    files: dict[str, bytes | Mapping[str, np.ndarray]] = {DECODER: network.named_weights()}
    if tuned is not None:
        values = keras.ops.convert_to_numpy
        files[TUNED] = {name: values(variable) for name, variable in layer_variables(tuned)}
    if roundings:
        files[ROUNDINGS] = pack_roundings(roundings)
    write_model(directory, config, vocabulary, files)


def load_model(directory: str | Path) -> LoadedModel:
    """Read a model directory, except for the encoder.

    Raises:
        CaptionerError: the directory is missing, incomplete, or its parts do not fit each other.
    """
    model = CaptionerDirectory.read(directory)
    vocabulary, weights = model.vocabulary(), model.decoder()
    network = CaptionModel(model.config.decoder)
    network.take(weights)
    return LoadedModel(model.config, vocabulary, network)


def take_tuned(layers: keras.Model, model: CaptionerDirectory) -> None:
    """Fill the last layers of an encoder with the weights that a model directory has for them.

    Raises:
        CaptionerError: they are missing, damaged, or those of other layers.
    """
    variables = dict(layer_variables(layers))
    weights = model.arrays(TUNED, {name: tuple(variable.shape) for name, variable in variables.items()})
    for name, variable in variables.items():
        variable.assign(weights[name])


def layer_variables(network: keras.Model, within: str = "") -> Iterator[tuple[str, keras.Variable]]:
    """Yield the weights of a network by the kind of layer, its number among those, and their name: `conv2d_3/kernel`.

    Keras's own names of layers go on counting from one network to the next, so that files would differ.
    """
    counts = Counter[str]()
    for layer in network.layers:
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(layer).__name__).lower()
        name = f"{within}{kind}_{counts[kind]}".removesuffix("_0")
        counts[kind] += 1
        if isinstance(layer, keras.Model):
            yield from layer_variables(layer, "" if kind == "functional" else f"{name}/")
        else:
            yield from ((f"{name}/{variable.name}", variable) for variable in layer.weights)

"""Both Keras networks of a captioning model: the encoder, and the decoder that reads what it gives."""

from pathlib import Path

import keras

from captioner.checksums import read_checked
from captioner.config import EncoderConfig
from captioner.data.encoder_memory import check_encoder
from captioner.data.model_files import (
    CONFIG,
    NETWORK,
    TUNED,
    check_features,
    is_compact,
    read_config,
    read_files,
)
from captioner.data.network_trial import refuse_harmful
from captioner.errors import CaptionerError
from captioner.models.compact_file import load_compact
from captioner.models.directory import SavedModel, load_model, load_weights
from captioner.models.encoder import build_encoder, last_layers


def load_networks(directory: Path, encoder_weights: str | Path = "imagenet") -> tuple[SavedModel, keras.Model]:
    """Load a model directory, and the encoder it names with weights from a file, or with Keras's own ("imagenet").

    A compact encoder's weights are those in the directory, and so are those of layers that were trained along.

    Raises:
        CaptionerError: the directory or the weights cannot be used, or the encoder would take too much memory.
    """
    check_encoder(directory / CONFIG, read_config(directory).encoder)
    model = load_model(directory)
    if is_compact(model.config):
        encoder = _compact(directory, model.config.encoder)
    else:
        encoder = load_encoder(directory, model.config.encoder, encoder_weights)
    check_features(directory, model.config, encoder.output_shape[1:])
    return model, encoder


def load_encoder(directory: Path, config: EncoderConfig, encoder_weights: str | Path = "imagenet") -> keras.Model:
    """Load a network of `keras.applications`, with the last layers that a model directory has if `config` names them.

    Raises:
        CaptionerError: the directory or the weights cannot be used.
    """
    encoder = build_encoder(config, encoder_weights)
    if config.fine_tune_after:
        load_weights(last_layers(encoder, config.fine_tune_after), directory / TUNED)
    return encoder


def _compact(directory: Path, config: EncoderConfig) -> keras.Model:
    files = read_files(directory)
    network = read_checked(directory / NETWORK, files.encoder, CONFIG)
    refuse_harmful(network, files.encoder, directory)
    try:
        return load_compact(network, files.tensors, config.image_size)
    except (ValueError, RuntimeError) as error:  # RuntimeError: of LiteRT, for what is no network
        raise CaptionerError(
            f"{directory / CONFIG}: 'tensors' does not say where {NETWORK} keeps the encoder's weights ({error}); "
            "restore it from where it came"
        ) from error

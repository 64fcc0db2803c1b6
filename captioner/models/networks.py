"""Both Keras networks of a captioning model: the encoder, and the decoder that reads what it gives."""

from pathlib import Path

import keras

from captioner.errors import CaptionerError
from captioner.model_files.directory import CONFIG, NETWORK, CaptionerDirectory
from captioner.model_files.encoder_memory import check_encoder
from captioner.model_files.network_trial import read_network
from captioner.models.compact_file import load_compact
from captioner.models.directory import LoadedModel, load_model, take_tuned
from captioner.models.encoder import build_encoder, last_layers


def load_networks(directory: Path, encoder_weights: str | Path = "imagenet") -> tuple[LoadedModel, keras.Model]:
    """Load a model directory, and the encoder it names with weights from a file, or with Keras's own ("imagenet").

    A compact encoder's weights are those in the directory, and so are those of layers that were trained along.

    Raises:
        CaptionerError: the directory or the weights cannot be used, or the encoder would take too much memory.
    """
    model = CaptionerDirectory.read(directory)
    check_encoder(directory / CONFIG, model.config.encoder)
    saved = load_model(directory)
    encoder = _compact(model) if model.is_compact else load_encoder(model, encoder_weights)
    model.check_features(encoder.output_shape[1:])
    return saved, encoder


def load_encoder(model: CaptionerDirectory, encoder_weights: str | Path = "imagenet") -> keras.Model:
    """Load a network of `keras.applications`, with the last layers of a model directory, if it has some.

    Raises:
        CaptionerError: the directory or the weights cannot be used.
    """
    config = model.config.encoder
    encoder = build_encoder(config, encoder_weights)
    if config.fine_tune_after:
        take_tuned(last_layers(encoder, config.fine_tune_after), model)
    return encoder


def _compact(model: CaptionerDirectory) -> keras.Model:
    network = read_network(model)
    try:
        return load_compact(network, model.tensors, model.config.encoder.image_size, model.config.decoder.channels)
    except (ValueError, RuntimeError) as error:  # RuntimeError: of LiteRT, for what is no network
        raise CaptionerError(
            f"{model.path / CONFIG}: 'tensors' does not say where {NETWORK} keeps the encoder's weights ({error}); "
            "restore it from where it came"
        ) from error

"""A captioning model as one `.keras` file: the layers that this project trained, as a functional Keras model."""

from pathlib import Path

import keras

from captioner.config.model import EncoderConfig
from captioner.model_files.directory import CaptionerDirectory
from captioner.models.captioner import CaptionModel
from captioner.models.directory import load_model, take_tuned
from captioner.models.encoder import build_encoder, last_layers
from captioner.models.networks import load_networks
from captioner.system.atomic import atomic_write


def export_keras(model: Path, output: Path) -> str:
    """Write the captioning model in the directory `model` as a Keras model for teacher forcing.

    It takes a dictionary and returns logits (B, T, V). `tokens` is int32 (B, T), beginning with the start token. The
    other input is what the first of our own weights read:

    - `images` float32 (B, S, S, 3) in [-1, 1], of a compact model;
    - `grid` (B, L', D'), what the encoder's layer `fine_tune_after` gives, where the layers behind it were trained;
    - `features` (B, L, D) of all others, whose encoder is a network of `keras.applications` as it is.

    The layer `captioner` is the `CaptionModel`; the layer before it, if there is one, is the encoder or its end.

    Args:
        model: what `train.py` wrote.
        output: the file to make, which ends in `.keras`; one that is there is replaced, whole or not at all.

    Returns:
        the name of the input beside `tokens`.

    Raises:
        CaptionerError: the model cannot be read.
        OSError: `output` cannot be written.
    """
    network, encoder, name = _parts(model)
    shape = encoder.input_shape[1:] if encoder else (network.config.locations, network.config.channels)
    seen = keras.Input(shape, name=name)
    tokens = keras.Input((None,), name="tokens", dtype="int32")
    features = encoder(seen, training=False) if encoder else seen
    joined = keras.Model(
        {name: seen, "tokens": tokens}, network({"features": features, "tokens": tokens}), name="model"
    )
    with atomic_write(output, named=True) as temporary:
        joined.save(temporary)
    return name


def _parts(model: Path) -> tuple[CaptionModel, keras.Model | None, str]:
    """Return the decoder, what we trained of the encoder, and the name of what is read first."""
    saved, directory = load_model(model), CaptionerDirectory.read(model)
    network = CaptionModel(saved.config.decoder, name="captioner")
    network.set_weights(saved.network.get_weights())
    encoder: EncoderConfig = saved.config.encoder
    if directory.is_compact:
        return network, load_networks(model)[1], "images"
    if not encoder.fine_tune_after:
        return network, None, "features"
    tuned = last_layers(build_encoder(encoder, None), encoder.fine_tune_after)
    take_tuned(tuned, directory)
    return network, tuned, "grid"

"""Both Keras networks of a captioning model: the encoder, and the decoder that reads what it gives."""

from pathlib import Path

import keras

from captioner.data.model_files import check_features, own_encoder
from captioner.models.directory import SavedModel, load_model
from captioner.models.encoder import build_encoder


def load_networks(directory: Path, encoder_weights: str | Path = "imagenet") -> tuple[SavedModel, keras.Model]:
    """Load a model directory, and the encoder it names with weights from a file, or with Keras's own ("imagenet").

    A compact encoder's weights are those in the directory.

    Raises:
        CaptionerError: the directory or the weights cannot be used.
    """
    model = load_model(directory)
    encoder = build_encoder(model.config.encoder, own_encoder(directory, model.config) or encoder_weights)
    check_features(directory, model.config, encoder.output_shape[1:])
    return model, encoder

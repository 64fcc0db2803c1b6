"""A captioning model as one `.keras` file, read back by Keras alone."""

import keras
import numpy as np
import pytest

from captioner.config.decoding import DecodingConfig
from captioner.config.model import DecoderConfig, EncoderConfig, ModelConfig
from captioner.export.compact import save_compact
from captioner.export.keras_file import export_keras
from captioner.models.captioner import CaptionModel
from captioner.models.compact import CHANNELS, build_compact
from captioner.models.directory import load_model, save_model
from captioner.models.encoder import build_encoder, last_layers
from captioner.models.folding import folded, rounded
from captioner.models.networks import load_networks
from captioner.text import Vocabulary

VOCABULARY = Vocabulary.build([["a", "dog", "runs", "the", "cat"]])
TOKENS = np.int32([[1, 4, 5], [1, 6, 7]])


def decoder(locations, channels):
    config = DecoderConfig("gru", 8, 5, 7, 0.3, len(VOCABULARY), locations=locations, channels=channels)
    network, draw = CaptionModel(config), np.random.default_rng(1)
    network.set_weights([draw.uniform(-1, 1, weight.shape) for weight in network.weights])
    return network


def exported(directory, name):
    output = directory.parent / "out" / "model.keras"
    assert export_keras(directory, output) == name
    return keras.saving.load_model(output)


def draw(*shape):
    return np.random.default_rng(2).uniform(-1, 1, shape).astype(np.float32)


def test_a_frozen_encoder_is_left_out(tmp_path):
    network = decoder(4, 6)
    save_model(tmp_path / "model", ModelConfig(decoder=network.config), VOCABULARY, network)
    features = draw(2, 4, 6)
    model = exported(tmp_path / "model", "features")
    expected = network({"features": features, "tokens": TOKENS})
    np.testing.assert_allclose(model({"features": features, "tokens": TOKENS}), expected, atol=1e-6)
    assert model.count_params() == network.count_params()


def test_a_compact_model_reads_photos(tmp_path):
    network = rounded(decoder(16, CHANNELS))
    config = ModelConfig(EncoderConfig("compact", "grid", 80), network.config, DecodingConfig(max_length=6))
    save_compact(tmp_path / "model", config, VOCABULARY, network, folded(build_compact(80)))
    images = draw(2, 80, 80, 3)
    saved, encoder = load_networks(tmp_path / "model")
    expected = saved.network({"features": encoder(images), "tokens": TOKENS})
    model = exported(tmp_path / "model", "images")
    np.testing.assert_allclose(model({"images": images, "tokens": TOKENS}), expected, atol=1e-5)


def test_layers_that_were_trained_along_are_ours(tmp_path):
    config = EncoderConfig(feature_layer="mixed2", image_size=75, fine_tune_after="mixed1")
    tuned = last_layers(build_encoder(config, None), "mixed1")
    network = decoder(*tuned.output_shape[1:])
    save_model(tmp_path / "model", ModelConfig(config, network.config), VOCABULARY, network, tuned)
    grid = draw(2, *tuned.input_shape[1:])
    model = exported(tmp_path / "model", "grid")
    expected = network({"features": tuned(grid, training=False), "tokens": TOKENS})
    np.testing.assert_allclose(model({"grid": grid, "tokens": TOKENS}), expected, atol=1e-5)
    assert model.count_params() == network.count_params() + tuned.count_params()


def test_a_failure_leaves_the_old_file(tmp_path, monkeypatch):
    network = decoder(4, 6)
    save_model(tmp_path / "model", ModelConfig(decoder=network.config), VOCABULARY, network)
    exported(tmp_path / "model", "features")
    before = (tmp_path / "out" / "model.keras").read_bytes()
    assert load_model(tmp_path / "model").config.decoder == network.config

    def fail(self, path):
        path.write_bytes(b"half")
        raise OSError("full")

    monkeypatch.setattr(keras.Model, "save", fail)
    with pytest.raises(OSError, match="full"):
        export_keras(tmp_path / "model", tmp_path / "out" / "model.keras")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model.keras"]
    assert (tmp_path / "out" / "model.keras").read_bytes() == before

"""A small captioner with random weights: its encoder, its model directory, and photos for it."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from captioner.config.decoding import DecodingConfig
from captioner.config.model import CalibrationConfig, DecoderConfig, EncoderConfig, ModelConfig
from captioner.model_files.calibration import Calibration
from captioner.model_files.directory import CaptionerDirectory
from captioner.models.captioner import CaptionModel
from captioner.models.directory import save_model
from captioner.text import Vocabulary

WORDS = ["a", "dog", "runs", "the", "cat", "강아지"]
DECODING = DecodingConfig(beam_width=3, length_penalty=0.7, max_length=6)


@pytest.fixture(scope="session")
def encoder() -> keras.Model:
    """Images (B, 75, 75, 3) to features (B, 4, 6)."""
    image = keras.Input((75, 75, 3))
    model = keras.Model(image, keras.layers.Reshape((4, 6))(keras.layers.Conv2D(6, 37, strides=37)(image)))
    draw = np.random.default_rng(21)
    model.set_weights([draw.uniform(-0.1, 0.1, weight.shape) for weight in model.weights])
    return model


@pytest.fixture(scope="session")
def layered_encoder() -> keras.Model:
    """Images (B, 75, 75, 3) to features (B, 4, 6), of the kinds of layers that InceptionV3 has."""
    image = keras.Input((75, 75, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, use_bias=False)(image)
    x = keras.layers.Activation("relu")(keras.layers.BatchNormalization(scale=False)(x))
    x = keras.layers.concatenate([x, keras.layers.AveragePooling2D(3, 1, "same")(x)])
    model = keras.Model(image, keras.layers.Reshape((4, 6))(keras.layers.Conv2D(6, 18, strides=18)(x)))
    draw = np.random.default_rng(21)
    model.set_weights([draw.uniform(0.1, 0.5, weight.shape) for weight in model.weights])
    return model


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    return Vocabulary.build([WORDS])


@pytest.fixture(scope="session")
def config(vocabulary) -> Callable[[str], ModelConfig]:
    def make(cell: str) -> ModelConfig:
        sizes = DecoderConfig(cell, 8, 5, 7, 0.3, len(vocabulary), locations=4, channels=6)
        return ModelConfig(EncoderConfig(feature_layer="mixed2", image_size=75), sizes, DECODING)

    return make


@pytest.fixture(scope="session")
def network(config) -> Callable[[str], CaptionModel]:
    """Networks with weights large enough to make their words differ; some captions end, some are cut."""

    def make(cell: str, seed: int = 1) -> CaptionModel:
        model = CaptionModel(config(cell).decoder)
        draw = np.random.default_rng(seed)
        model.set_weights([draw.uniform(-2, 2, weight.shape) for weight in model.weights])
        return model

    return make


@pytest.fixture(scope="session")
def known() -> Calibration:
    """Confidence and familiarity of a model whose features have 6 channels; its penalty is not that of the search."""
    draw = np.random.default_rng(23)
    arrays = {
        "scores": np.float32([-20, -8, -3, 0]),
        "shares": np.float32([0, 0.25, 0.75, 1]),
        "mean": draw.normal(size=6).astype(np.float32) / 50,
        "deviation": draw.uniform(0.02, 0.05, 6).astype(np.float32),
        "directions": np.linalg.qr(draw.normal(size=(6, 2)))[0].T.astype(np.float16),
    }
    settings = CalibrationConfig(
        sure=0.6, guess=0.3, least=0.2, unfamiliar=40.0, length_penalty=0.4, points=4, directions=2, photos=100
    )
    return Calibration(settings, arrays)


@pytest.fixture(scope="session")
def save_captioner(config, vocabulary, network) -> Callable[[Path], Path]:
    """Write a model directory."""

    def save(directory: Path, cell: str = "lstm", seed: int = 1, known: Calibration | None = None) -> Path:
        save_model(directory, config(cell), vocabulary, network(cell, seed))
        if known:
            CaptionerDirectory.read(directory).calibrate(known)
        return directory

    return save

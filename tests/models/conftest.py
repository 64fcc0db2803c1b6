from collections.abc import Callable

import numpy as np
import pytest

from captioner.config.decoding import DecodingConfig
from captioner.config.model import DecoderConfig, EncoderConfig, ModelConfig
from captioner.models.captioner import CaptionModel
from captioner.text import Vocabulary

L, D = 4, 6  # regions and channels of the features
WORDS = ["a", "dog", "runs", "the", "cat", "강아지"]


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    return Vocabulary.build([WORDS])


@pytest.fixture(scope="session")
def config(vocabulary) -> Callable[..., ModelConfig]:
    """A model's configuration with every size small and different."""

    def make(cell: str = "rnn", **decoder) -> ModelConfig:
        sizes = {
            "hidden_size": 8,
            "embedding_dim": 5,
            "attention_dim": 7,
            "dropout": 0.0,
            "locations": L,
            "channels": D,
        }
        return ModelConfig(
            EncoderConfig(feature_layer="mixed2", image_size=75),
            DecoderConfig(cell, vocabulary_size=len(vocabulary), **{**sizes, **decoder}),
            DecodingConfig(beam_width=3, length_penalty=0.7, max_length=6),
        )

    return make


@pytest.fixture(scope="session")
def network(config, vocabulary) -> Callable[..., CaptionModel]:
    """A network whose weights are random, and large enough to make its words differ."""

    def make(cell: str = "rnn", dtype: str = "float32", seed: int = 1, **decoder) -> CaptionModel:
        model = CaptionModel(config(cell, **decoder).decoder, dtype=dtype)
        draw = np.random.default_rng(seed)
        model.set_weights([draw.uniform(-1, 1, weight.shape) for weight in model.weights])
        output = model.decoder.output_projection
        output.kernel.assign(output.kernel * 3)
        output.bias.assign(np.eye(len(vocabulary))[Vocabulary.end])  # some captions end, some are cut
        return model

    return make


@pytest.fixture
def features() -> np.ndarray:
    return np.random.default_rng(12).normal(size=(3, L, D)).astype(np.float32)

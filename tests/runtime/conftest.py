"""A character model with random weights, in NumPy and where it is compared with Keras's in Keras."""

from collections.abc import Callable

import numpy as np
import pytest

from captioner.config.model import CharModelConfig
from captioner.runtime.char_lm import LanguageModel
from captioner.runtime.char_network import CharNetwork, weight_shapes
from captioner.text import CharacterVocabulary

TEXT = "ab cd\n나라 e"


@pytest.fixture
def vocabulary() -> CharacterVocabulary:
    return CharacterVocabulary.build(TEXT)


@pytest.fixture
def weights() -> Callable[[CharModelConfig], dict[str, np.ndarray]]:
    def make(config: CharModelConfig, seed: int = 3) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        return {
            name: rng.uniform(-1, 1, shape).astype(np.float32) for name, shape in sorted(weight_shapes(config).items())
        }

    return make


@pytest.fixture
def model(vocabulary, weights) -> LanguageModel:
    config = CharModelConfig("rnn", 2, 8, 5, 0.0, True, len(vocabulary))
    return LanguageModel(vocabulary, CharNetwork(config, weights(config)))

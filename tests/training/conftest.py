"""A made-up task so small that a training takes seconds: four words, features that tell which of them to say."""

from collections.abc import Callable

import keras
import numpy as np
import pytest

from captioner.config.model import DecoderConfig
from captioner.models.captioner import CaptionModel
from captioner.text import Vocabulary
from captioner.training.inputs.split import Split

PLACES, CHANNELS = 4, 6
SENTENCES = ("red dog runs", "blue cat sits", "red cat runs", "blue dog sits")


@pytest.fixture(autouse=True, scope="session")
def quick(quick_graphs: None) -> None:
    pass


@pytest.fixture
def make_split() -> Callable[[int, int], Split]:
    """Returns a function that makes a split of `count` photos, each with two captions of three words."""

    def make(count: int, seed: int) -> Split:
        rng = np.random.default_rng(seed)
        features = rng.normal(size=(count, PLACES, CHANNELS)).astype(np.float16)
        captions = []
        for number in range(count):
            features[number, :, number % len(SENTENCES)] += 4  # what the photo shows
            words = SENTENCES[number % len(SENTENCES)].split()
            captions.append([words, ["a", *words[1:]]])
        return Split(features, range(count), captions, [f"{number}.jpg" for number in range(count)])

    return make


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary.build([("a " + sentence).split() for sentence in SENTENCES])


@pytest.fixture
def make_network() -> Callable[..., CaptionModel]:
    """Returns a function that makes a tiny network whose weights follow from `seed`."""

    def make(
        vocabulary_size: int, seed: int = 0, dropout: float = 0.0, cell: str = "rnn", channels: int = CHANNELS
    ) -> CaptionModel:
        keras.utils.set_random_seed(seed)
        return CaptionModel(DecoderConfig(cell, 8, 6, 5, dropout, vocabulary_size, PLACES, channels))

    return make

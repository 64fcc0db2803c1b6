"""Initialise a network: its vocabulary, the word frequencies, and the weights of an earlier model."""

from collections import Counter
from collections.abc import Sequence

import keras
import numpy as np

from captioner.errors import CaptionerError
from captioner.models.captioner import CaptionModel
from captioner.models.directory import LoadedModel
from captioner.text import SPECIAL_TOKENS, Vocabulary


def make_vocabulary(base: LoadedModel | None, sentences: Sequence[Sequence[str]], min_count: int) -> Vocabulary:
    """Return the words to learn: those of the model that the training starts from, if any, and those of the captions.

    Raises:
        CaptionerError: there are none.
    """
    vocabulary = (base.vocabulary if base else Vocabulary.build([])).extended(sentences, min_count)
    if len(vocabulary) == len(SPECIAL_TOKENS):
        raise CaptionerError(
            f"no word stands {min_count} times in the {len(sentences)} training captions; lower --min-count"
        )
    return vocabulary


def word_counts(vocabulary: Vocabulary, sentences: Sequence[Sequence[str]]) -> np.ndarray:
    """Count the words of sentences by their numbers, (V,)."""
    counts = Counter(number for words in sentences for number in vocabulary.encode(words, len(words) + 1))
    return np.array([counts[number] for number in range(len(vocabulary))], float)


def init_from(network: CaptionModel, base: LoadedModel) -> None:
    """Copy the weights of `base` into a network that knows all its words and perhaps more, whose weights stay.

    Raises:
        CaptionerError: the two read different features.
    """
    for ours, theirs in zip(network.weights, base.network.weights, strict=True):
        values, saved = keras.ops.convert_to_numpy(ours).copy(), keras.ops.convert_to_numpy(theirs)
        if any(new < old for new, old in zip(values.shape, saved.shape, strict=True)):
            raise CaptionerError(
                f"--init-from: {ours.path} is {saved.shape} there and {values.shape} here; "
                "give the same --feature-layer"
            )
        values[tuple(slice(size) for size in saved.shape)] = saved
        ours.assign(values)

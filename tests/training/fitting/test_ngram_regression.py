"""The regression of n-grams on photos, against ridge regression and a singular value decomposition by NumPy."""

import math

import numpy as np
import pytest

from captioner.decoding.hypothesis import Hypothesis
from captioner.model_files.ngram_regression import ngram_keys
from captioner.text import SPECIAL_TOKENS, Vocabulary
from captioner.training.fitting import ngram_regression
from captioner.training.fitting.ngram_regression import NgramFit, choose_regression

RNG = np.random.default_rng(3)
WORDS = ("dog", "man", "bench", "snow", "red")
CAPTIONS = [[[word for word in WORDS if RNG.random() < 0.5] for _ in range(2)] for _ in range(40)]
RAW = RNG.normal(size=(40, 6))
PHOTOS = ((RAW - RAW.mean(axis=0)) / RAW.std(axis=0)).astype(np.float32)
RIDGE = 0.1


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(ngram_regression, "FEWEST_PHOTOS", 5)
    monkeypatch.setattr(ngram_regression, "AT_ONCE", 3)  # so that the n-grams do not fit in one block


def unigram_weights(captions: list[list[list[str]]] = CAPTIONS) -> np.ndarray:
    """Return the mean over a photo's captions of the TF-IDF of its words, each caption's of length 1: (N, 5)."""
    has = np.array([[any(word in caption for caption in photo) for word in WORDS] for photo in captions])
    idf = np.log(len(captions) / has.sum(axis=0))
    rows = []
    for photo in captions:
        vectors = [idf * [word in caption for word in WORDS] for caption in photo]
        rows.append(np.mean([vector / max(np.linalg.norm(vector), 1e-9) for vector in vectors], axis=0))
    return np.array(rows)


def expected(photos: np.ndarray, fit: NgramFit, words: tuple[str, ...] = WORDS) -> np.ndarray:
    regression = fit.regression(RIDGE, 8.0)
    keys = ngram_keys((word,) for word in words)
    return np.stack([regression.of(keys, factors)[1] for factors in regression.factors(photos)])


def ridge_regression(weights: np.ndarray) -> np.ndarray:
    """Return the coefficients (D, G) of ridge regression with an intercept."""
    penalty = RIDGE * len(PHOTOS) * np.eye(6)  # the mean variance of a channel, summed over the photos, is N
    return np.linalg.solve(PHOTOS.T @ PHOTOS + penalty, PHOTOS.T @ (weights - weights.mean(axis=0)))


def test_of_full_rank_it_is_ridge_regression_with_the_deviation_of_the_weights():
    weights = unigram_weights()
    fitted = PHOTOS @ ridge_regression(weights)
    found = expected(PHOTOS, NgramFit(CAPTIONS, PHOTOS, set(WORDS)))

    for word in range(len(WORDS)):
        assert np.corrcoef(found[:, word], fitted[:, word])[0, 1] > 0.9998  # the weights are kept in 8 bits
    assert found.std(axis=0) == pytest.approx(weights.std(axis=0), rel=0.01)


def test_of_lower_rank_it_keeps_what_varies_most(monkeypatch):
    """Eckart and Young: the best fit of rank 2 to the fitted values is that of their singular value decomposition."""
    monkeypatch.setattr(ngram_regression, "FACTORS", 2)
    monkeypatch.setattr(ngram_regression, "FEWEST_PHOTOS", 1)
    single = [[words[:1] for words in photo] for photo in CAPTIONS]  # so that there are unigrams alone
    fitted = PHOTOS @ ridge_regression(unigram_weights(single))
    u, s, v = np.linalg.svd(fitted, full_matrices=False)
    best = (u[:, :2] * s[:2]) @ v[:2]
    found = expected(PHOTOS, NgramFit(single, PHOTOS, set(WORDS)))

    for word in range(len(WORDS)):
        assert np.corrcoef(found[:, word], best[:, word])[0, 1] > 0.9999


def test_ngrams_of_few_photos_or_of_words_that_the_model_cannot_say_are_left_out():
    captions = [[["red", "dog"]]] * 4 + [[["man"]]] * 6 + [[["snow"]]] * 30
    regression = NgramFit(captions, PHOTOS, {"red", "dog", "man"}).regression(RIDGE, 8.0)

    assert regression.arrays["ngrams"].tolist() == ngram_keys([("man",)]).tolist()
    assert regression.arrays["photos"].tolist() == [6]
    assert regression.of(ngram_keys([("man",), ("dog",)]), np.zeros(6))[0] == pytest.approx(
        [math.log(40 / 6), math.log(40)]
    )


def test_no_caption_stands_in_the_arrays():
    for array in NgramFit(CAPTIONS, PHOTOS, set(WORDS)).regression(RIDGE, 8.0).arrays.values():
        assert array.dtype.kind in "iuf"
        assert not any(word.encode() in array.tobytes() for word in WORDS)


def test_more_channels_than_photos_and_channels_that_never_vary_can_be_had():
    photos = np.concatenate([PHOTOS[:, :1]] * 50 + [np.zeros((40, 3))], axis=1).astype(np.float32)
    regression = NgramFit(CAPTIONS, photos, set(WORDS)).regression(RIDGE, 8.0)

    assert regression.config.factors == 1
    assert np.isfinite(regression.factors(photos)).all()


def test_without_ngrams_it_expects_nothing():
    regression = NgramFit(CAPTIONS, PHOTOS, {"zebra"}).regression(RIDGE, 8.0)
    assert regression.config.ngrams == 0
    assert regression.of(ngram_keys([("dog",)]), regression.factors(PHOTOS)[0])[1].tolist() == [0]


VOCABULARY = Vocabulary((*SPECIAL_TOKENS, *WORDS))


def beams(likeliest: str, other: str, count: int) -> list[list[Hypothesis]]:
    numbers = [VOCABULARY.tokens.index(word) for word in (likeliest, other)]
    return [
        [Hypothesis((number,), -1.0, score, True, None) for number, score in zip(numbers, (-1.0, -1.1), strict=True)]
    ] * count


def test_on_dev_the_weight_is_chosen_that_makes_captions_better():
    """Photos along the first channel show dogs or men; the network says "dog" of all of them."""
    shown = ["dog" if photo[0] > 0 else "man" for photo in PHOTOS]
    captions = [[[word], [word]] for word in shown]
    found = choose_regression(
        NgramFit(captions, PHOTOS, set(WORDS)), beams("dog", "man", len(shown)), PHOTOS, VOCABULARY, captions
    )

    assert found is not None
    assert found.config.weight in ngram_regression.WEIGHTS
    assert found.config.photos == len(PHOTOS)


def test_where_it_makes_none_better_there_is_none():
    shown = ["dog" if photo[0] > 0 else "man" for photo in PHOTOS]
    captions = [[[word]] for word in shown]
    right = [each for word in shown for each in beams(word, "man" if word == "dog" else "dog", 1)]

    assert choose_regression(NgramFit(captions, PHOTOS, set(WORDS)), right, PHOTOS, VOCABULARY, captions) is None

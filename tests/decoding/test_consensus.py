"""The choice among captions by what people say of such photos: figures by hand."""

import math

import numpy as np
import pytest

from captioner.config.model import ConsensusConfig
from captioner.decoding.consensus import agreements, chosen, consensus_order
from captioner.decoding.hypothesis import Hypothesis
from captioner.model_files.ngram_regression import NgramRegression, ngram_keys
from captioner.text import SPECIAL_TOKENS, Vocabulary

PHOTOS = 8
NGRAMS = {  # how many of the photos have each, and its weights
    ("a",): (8, [1.0, 1.0]),
    ("dog",): (4, [1.0, 0.0]),
    ("man",): (2, [-0.5, 1.0]),
    ("a", "dog"): (4, [0.5, 0.5]),
}


def regression(weight: float = 8.0) -> NgramRegression:
    keys = ngram_keys(NGRAMS)
    order = np.argsort(keys)
    photos, weights = zip(*(NGRAMS[ngram] for ngram in NGRAMS), strict=True)
    arrays = {
        "directions": np.eye(2, dtype=np.float16),
        "ngrams": keys[order],
        "photos": np.array(photos, np.uint32)[order],
        "weights": (np.array(weights)[order] * 100).astype(np.int8),
        "scales": np.full(len(NGRAMS), 0.01, np.float32),
    }
    return NgramRegression(ConsensusConfig(weight, 0.01, PHOTOS, 2, len(NGRAMS)), arrays)


def test_the_agreement_is_the_mean_over_the_orders_of_what_is_expected_of_their_ngrams():
    """Of "a dog runs", "a" has idf 0, "dog" ln 2, "runs" (unknown) ln 8; so has "dog runs"; "a dog" has ln 2."""
    factors = np.array([0.5, 0.25])
    dog, runs = math.log(2), math.log(8)
    unigrams = dog * 0.5 / math.hypot(dog, runs)
    bigrams = dog * (0.5 * 0.5 + 0.5 * 0.25) / math.hypot(dog, runs)

    found = agreements([["a", "dog", "runs"]], factors, regression())

    assert found == pytest.approx([(unigrams + bigrams + 0 + 0) / 4], rel=1e-6)


def test_a_word_said_twice_counts_twice():
    once, twice = agreements([["dog"], ["dog", "dog"]], np.array([1.0, 0.0]), regression())
    assert (once, twice) == pytest.approx((0.25, 0.25))  # of one word alone, the length of the vector is its weight
    man = math.log(4)
    (mixed,) = agreements([["dog", "man", "dog"]], np.array([1.0, 0.0]), regression())
    expected = (2 * math.log(2) - 0.5 * man) / math.hypot(2 * math.log(2), man)
    assert mixed == pytest.approx(expected / 4, rel=1e-6)


def test_words_that_fit_the_photo_agree_and_those_that_do_not_disagree():
    dog, man = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    of_dog = agreements([["dog"], ["man"], ["cats", "fly"], []], dog, regression())
    of_man = agreements([["dog"], ["man"]], man, regression())

    assert of_dog == pytest.approx([0.25, -0.125, 0, 0])
    assert of_man == pytest.approx([0, 0.25])


def test_unknown_ngrams_have_the_largest_idf_and_nothing_is_expected_of_them():
    idf, expected = regression().of(ngram_keys([("a",), ("man",), ("zebra",)]), np.array([1.0, 1.0]))
    assert idf == pytest.approx([0, math.log(4), math.log(8)], rel=1e-6)
    assert expected == pytest.approx([2, 0.5, 0])


def test_factors_are_the_features_along_the_directions():
    known = regression()
    arrays = {**known.arrays, "directions": np.array([[1, 0, 2], [0, -1, 0.5]], np.float16)}
    found = NgramRegression(known.config, arrays).factors(np.array([[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]]))
    assert found.tolist() == [[7, -0.5], [0, -1]]


def test_the_best_is_the_one_with_score_and_agreement_and_those_without_an_end_come_last():
    hypotheses = [
        Hypothesis((token,), -1.0, score, finished, None)
        for token, score, finished in ((4, -1.0, True), (5, -1.2, True), (6, -0.1, False))
    ]
    agreement = np.array([0.1, 0.2, 0.9])

    assert consensus_order(hypotheses, agreement, 0.0) == [0, 1, 2]
    assert consensus_order(hypotheses, agreement, 1.0) == [0, 1, 2]  # -0.9 against -1.0
    assert consensus_order(hypotheses, agreement, 4.0) == [1, 0, 2]  # -0.6 against -0.4


def test_of_equals_the_first_stays_first():
    hypotheses = [Hypothesis((token,), -1.0, -1.0, True, None) for token in (4, 5)]
    assert consensus_order(hypotheses, np.array([0.5, 0.5]), 8.0) == [0, 1]


def test_the_caption_of_the_photo_is_chosen_among_those_found():
    vocabulary = Vocabulary((*SPECIAL_TOKENS, "dog", "man"))
    numbers = [vocabulary.tokens.index(word) for word in ("dog", "man")]
    found = [
        Hypothesis((number,), -1.0, score, True, None) for number, score in zip(numbers, (-1.0, -1.5), strict=True)
    ]

    assert chosen(found, np.array([1.0, 0.0]), regression(), vocabulary) == found
    assert chosen(found, np.array([0.0, 1.0]), regression(), vocabulary) == found[::-1]  # -1.5 + 8 / 4 against -1
    assert chosen(found, np.array([0.0, 1.0]), regression(weight=1.0), vocabulary) == found  # -1.5 + 1 / 4


def test_ngrams_out_of_order_are_refused():
    known = regression()
    for ngrams in (known.arrays["ngrams"][::-1], np.zeros(len(NGRAMS), np.uint32)):
        with pytest.raises(ValueError, match="not in order"):
            NgramRegression(known.config, {**known.arrays, "ngrams": ngrams})


def test_without_ngrams_nothing_agrees():
    empty = {name: array[:0] for name, array in regression().arrays.items() if name != "directions"}
    nothing = NgramRegression(ConsensusConfig(8.0, 0.01, PHOTOS, 2, 0), {**regression().arrays, **empty})
    assert agreements([["a", "dog"]], np.array([1.0, 1.0]), nothing).tolist() == [0]

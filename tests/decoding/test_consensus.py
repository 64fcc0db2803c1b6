"""The choice among captions by what people said of photos alike: figures by hand, and against CIDEr itself."""

import math

import numpy as np
import pytest

from captioner.config import ConsensusConfig
from captioner.data.neighbours import Neighbours, NgramWeights, ngram_keys
from captioner.decoding.consensus import agreements, by_consensus
from captioner.decoding.hypothesis import Hypothesis
from captioner.metrics.cider import CiderD, count_documents
from captioner.training.neighbours import make_neighbours

TRAINING = [
    [["a", "dog", "runs"], ["a", "brown", "dog", "runs", "fast"]],
    [["a", "man", "sits"], ["a", "man", "on", "a", "bench"]],
    [["two", "dogs", "play"], ["dogs", "play", "in", "snow"]],
    [["a", "dog", "sleeps"], ["the", "dog", "sleeps", "on", "a", "bench"]],
]
PLACES = np.array([[1.0, 0.1], [0.0, 1.0], [-1.0, 0.0], [0.9, -0.4]], np.float32)
WORDS = {word for photo in TRAINING for words in photo for word in words}


def neighbours(count: int, sharpness: float = 15.0, known: set[str] = WORDS) -> Neighbours:
    made = make_neighbours(TRAINING, PLACES, known)
    return Neighbours(
        ConsensusConfig(**{**vars(made.config), "neighbours": count, "sharpness": sharpness}), made.arrays
    )


def test_the_agreement_with_one_photo_is_its_mean_cosine():
    """It is CIDEr-D without the Gaussian; nothing is clipped where no word repeats."""
    known = neighbours(1)
    near = known.near(np.array([10.0, 1.0])[None])[0]  # the first photo
    cider = CiderD([[TRAINING[0][0]], [TRAINING[0][1]]], count_documents(TRAINING))
    said = TRAINING[0][0]
    lengths = math.exp(-((len(TRAINING[0][1]) - len(said)) ** 2) / (2 * 6.0**2))
    expected = (cider.score(0, said) + cider.score(1, said) / lengths) / 20

    assert agreements([said], near, known)[0] == pytest.approx(expected, abs=2e-3)  # the weights are kept in 8 bits


def test_a_caption_of_other_words_agrees_with_nothing():
    known = neighbours(1)
    found = agreements([["cats", "fly"], [], TRAINING[1][0]], known.near(np.array([0.0, 1.0])[None])[0], known)

    assert found[:2].tolist() == [0, 0]
    assert found[2] > 0.5


def test_the_nearer_photo_counts_more():
    """Of two photos with cosines 1 and c, each counts as softmax(sharpness * cosine) says."""
    known = neighbours(2, sharpness=4.0)
    near = known.near(np.array([1.0, 0.1])[None])[0]
    first, second = PLACES[0] / np.linalg.norm(PLACES[0]), PLACES[3] / np.linalg.norm(PLACES[3])
    share = 1 / (1 + math.exp(4 * (first @ second - 1)))
    single = neighbours(1).near(PLACES[[0]])[0], neighbours(1).near(PLACES[[3]])[0]
    runs, sleeps = ngram_keys([("runs",)]), ngram_keys([("sleeps",)])

    assert near.of(runs)[0] == pytest.approx(share * single[0].of(runs)[0], rel=0.02)
    assert near.of(sleeps)[0] == pytest.approx((1 - share) * single[1].of(sleeps)[0], rel=0.02)


def test_words_that_the_model_cannot_say_are_not_kept():
    known = neighbours(1, known=WORDS - {"runs"})
    assert known.near(PLACES[[0]])[0].of(ngram_keys([("runs",), ("dog", "runs"), ("dog",)])).astype(bool).tolist() == [
        *(False, False, True),
    ]


def test_rare_and_unknown_ngrams_have_the_largest_idf():
    known = neighbours(1)
    found = known.idf.of(ngram_keys([("a",), ("dog",), ("snow",), ("zebra",)]), known.log_photos)
    assert found == pytest.approx([math.log(4 / 3), math.log(2), math.log(4), math.log(4)])


def test_no_caption_stands_in_the_arrays():
    for array in neighbours(1).arrays.values():
        assert b"dog" not in array.tobytes()
        assert array.dtype.kind in "iuf"


def test_the_best_is_the_one_with_score_and_agreement_and_those_without_an_end_come_last():
    first, second, cut = (
        Hypothesis((token,), -1.0, score, finished, None)
        for token, score, finished in ((4, -1.0, True), (5, -1.2, True), (6, -0.1, False))
    )
    agreement = np.array([0.1, 0.2, 0.9])

    assert by_consensus([first, second, cut], agreement, 0.0) == [first, second, cut]
    assert by_consensus([first, second, cut], agreement, 1.0) == [first, second, cut]  # -0.9 against -1.0
    assert by_consensus([first, second, cut], agreement, 4.0) == [second, first, cut]  # -0.6 against -0.4


def test_of_equals_the_first_stays_first():
    one, other = (Hypothesis((token,), -1.0, -1.0, True, None) for token in (4, 5))
    assert by_consensus([one, other], np.array([0.5, 0.5]), 8.0) == [one, other]


def test_parts_that_do_not_follow_each_other_are_refused():
    known = neighbours(1)
    for starts in ([0, 5, 3, 9, known.config.entries], [0, 1, 2, 3, 4], [1, 5, 6, 7, known.config.entries]):
        with pytest.raises(ValueError, match="do not follow"):
            Neighbours(known.config, {**known.arrays, "starts": np.array(starts, np.uint32)})


def test_no_weights_at_all_give_the_default():
    nothing = NgramWeights(np.zeros(0, np.uint32), np.zeros(0, np.float32))
    assert nothing.of(np.array([1, 2], np.uint32), 3.0).tolist() == [3, 3]

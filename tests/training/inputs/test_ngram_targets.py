from collections import Counter

import numpy as np
import pytest

from captioner.errors import CaptionerError
from captioner.training.inputs.ngram_targets import MOST_PROBABILITIES, SHORTER, check_length, ngram_probabilities


def test_frequencies_by_hand():
    # Four blocks of two. The first is predicted from the last two, 2 0 1 2: 0 once, 1 once, 2 twice; three different.
    found = ngram_probabilities(np.array([0, 0, 1, 1, 2, 0, 1, 2]), 3, order=0, blocks=4)
    assert (SHORTER, found.dtype) == (16, np.float16)
    np.testing.assert_allclose(found[0], np.array([1 + 16, 1 + 16, 2 + 16]) / (4 + 48), rtol=1e-3)
    np.testing.assert_allclose(found[1], found[0])
    # The second has the last block alone, 1 2.
    np.testing.assert_allclose(found[2], np.array([32 / 3, 1 + 32 / 3, 1 + 32 / 3]) / (2 + 32), rtol=1e-3)


def plain(tokens, vocabulary_size, order, blocks):
    """The same in plain Python, a place at a time."""
    block_of = [place * blocks // len(tokens) for place in range(len(tokens))]
    rows = []
    for place in range(len(tokens)):
        row = [1 / vocabulary_size] * vocabulary_size
        for k in range(order + 1):
            context = None if place < k else tokens[place - k : place]
            followers = Counter(
                tokens[other]
                for other in range(len(tokens))
                if abs(block_of[other] - block_of[place]) > 1 and other >= k and tokens[other - k : other] == context
            )
            if total := sum(followers.values()):
                weight = SHORTER * len(followers)
                row = [(followers[v] + weight * row[v]) / (total + weight) for v in range(vocabulary_size)]
        rows.append(row)
    return rows


@pytest.mark.parametrize(("characters", "order", "blocks"), [(120, 3, 5), (61, 2, 12), (7, 4, 12)])
def test_against_plain_python(characters, order, blocks):
    tokens = np.random.default_rng(3).integers(0, 3, characters).astype(np.uint8)
    expected = plain(tokens.tolist(), 4, order, blocks)
    np.testing.assert_allclose(ngram_probabilities(tokens, 4, order, blocks), expected, atol=5e-4)


def test_a_block_and_its_neighbours_say_nothing_of_it():
    tokens = np.random.default_rng(4).integers(0, 3, 100)
    other = tokens.copy()
    other[19] = 3  # the last place of the second of ten blocks; the two places behind it have another context
    before, after = (ngram_probabilities(each, 5, order=2, blocks=10) for each in (tokens, other))
    np.testing.assert_array_equal(after[10:20], before[10:20])
    assert (after[30:] != before[30:]).any()


def test_progress_is_told():
    done = []
    ngram_probabilities(np.zeros(50, int), 2, order=3, blocks=5, done=done.append)
    assert sum(done) == 4 * 5


def test_a_text_that_is_too_long_is_refused():
    check_length(MOST_PROBABILITIES // 64, 64)
    with pytest.raises(CaptionerError, match="--ngram-share: for texts of up to 4,194,304 characters, if 64 are diff"):
        check_length(MOST_PROBABILITIES // 64 + 1, 64)

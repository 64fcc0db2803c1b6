import math
from collections import Counter

import numpy as np
import pytest

from captioner.runtime.ngram_cache import DISCOUNT, NgramCache


def read(cache, tokens):
    for token in tokens:
        cache.learn(token)
    return cache


def test_a_tiny_text_by_hand():
    cache = NgramCache(4, longest_context=1)
    probabilities, met = cache.predict()
    assert met == 0
    np.testing.assert_allclose(probabilities, [0.25] * 4)
    a, b = 2, 3
    # After "aba": a followed the empty context twice, as b did once; b followed "a" once.
    probabilities, met = read(cache, [a, b, a]).predict()
    assert met == 2
    others = 0.8 * 2 / 3 / 4  # two discounts of three counts, shared by all four tokens
    shortest = np.array([others, others, (2 - 0.8) / 3 + others, (1 - 0.8) / 3 + others])
    assert shortest.sum() == pytest.approx(1)
    np.testing.assert_allclose(probabilities, 0.8 * shortest + [0, 0, 0, 1 - 0.8])
    np.testing.assert_allclose(probabilities, [0.106667, 0.106667, 0.426667, 0.36], atol=1e-6)


def test_a_shorter_context_counts_a_token_once_for_each_longer_one():
    # In "abab", b followed "a" twice, but was new after it once; a was new at the beginning and after "b".
    cache = read(NgramCache(4, longest_context=1), [2, 3, 2, 3])
    cache.learn(0)  # after "b", where it is new
    probabilities, met = cache.predict()
    assert met == 1  # nothing followed 0 yet
    # Of the empty context: a from the beginning and after "b", b after "a", 0 after "b".
    expected = np.array([1 - 0.8, 0, 2 - 0.8, 1 - 0.8]) / 4 + 0.8 * 3 / 4 / 4
    np.testing.assert_allclose(probabilities, expected)


def slow(tokens, size, longest):
    """The same by its formula, from the counts of a whole text in a dictionary of n-grams."""
    counts = {}
    for place, token in enumerate(tokens):
        for k in range(min(longest, place), -1, -1):
            followed = counts.setdefault((k, *tokens[place - k : place]), Counter())
            followed[token] += 1
            if followed[token] > 1:
                break
    p = np.full(size, 1 / size)
    for k in range(min(longest, len(tokens)) + 1):
        followed = counts.get((k, *tokens[len(tokens) - k :]))
        if not followed:
            break
        n = np.array([followed[c] for c in range(size)])
        p = (np.maximum(n - DISCOUNT, 0) + DISCOUNT * np.count_nonzero(n) * p) / n.sum()
    return p


def test_it_is_the_formula_and_sums_to_1_throughout_a_text():
    rng = np.random.default_rng(4)
    tokens = [*rng.integers(0, 5, 60).tolist(), *[1, 2, 3] * 8, 4]
    cache = NgramCache(5, longest_context=4)
    for place, token in enumerate(tokens):
        probabilities, met = cache.predict()
        assert probabilities.sum() == pytest.approx(1)
        assert probabilities.min() > 0
        assert 0 <= met <= 5
        np.testing.assert_allclose(probabilities, slow(tokens[:place], 5, 4), rtol=1e-9)
        cache.learn(token)


def test_contexts_that_were_not_met_for_long_are_dropped():
    phrase = [1, 2, 3, 4, 5, 6, 7, 8]
    rng = np.random.default_rng(0)
    noise = rng.integers(10, 50, 4000).tolist()
    cache = read(NgramCache(50, most_contexts=2000), phrase * 2)
    kept = read(NgramCache(50, most_contexts=2000), phrase * 2)
    for place, token in enumerate(noise):
        cache.learn(token)
        kept.learn(token)
        if place % 50 == 0:  # met again and again
            read(kept, phrase)
        assert len(cache) <= 2100
        assert cache.predict()[0].sum() == pytest.approx(1)
    read(cache, phrase[:6])
    read(kept, phrase[:6])
    assert kept.predict()[0][7] > 0.9
    assert cache.predict()[0][7] < 0.2
    assert kept.predict()[1] == 7


def test_a_context_is_never_kept_without_those_at_its_end():
    rng = np.random.default_rng(1)
    cache = NgramCache(6, longest_context=4, most_contexts=300)
    for token in rng.integers(0, 6, 3000).tolist():
        cache.learn(token)
        keys = {*cache._newer, *cache._older}
        assert all(key in keys for key in (_without_first(key, 7) for key in cache._newer))


def _without_first(key, base):
    """Return the key of a context without its first token, which is the first digit to the base."""
    if key == 0:
        return 0
    return key % base ** int(math.log(key + 0.5, base))


def test_text_in_any_number_of_characters():
    cache = read(NgramCache(30_000), [29_999, 17, 29_999, 17, 29_999])
    assert int(np.argmax(cache.predict()[0])) == 17

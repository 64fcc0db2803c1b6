import math

import numpy as np
import pytest

from captioner.runtime.adaptation import FIRST_WEIGHTS, LARGEST_WEIGHT, STEP, Adaptation


def log_softmax(logits):
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


@pytest.fixture
def text():
    """Tokens of a text that repeats itself, and what a network expected of each."""
    rng = np.random.default_rng(2)
    tokens = np.concatenate([rng.integers(0, 7, 40), np.tile([1, 2, 3, 4], 10)])
    return log_softmax(rng.normal(0, 2, (len(tokens), 7))), tokens


def test_the_first_character_by_hand():
    adaptation = Adaptation(2)
    log_probs = np.log([[0.8, 0.2]])
    # The cache says 1/2 each: it does not change which is likelier, and 0.8 ** 0.8 : 0.2 ** 0.8 = 1 : 0.25 ** 0.8.
    first = 1 / (1 + 0.25**0.8)
    assert first == pytest.approx(0.75195, abs=1e-5)
    np.testing.assert_allclose(np.exp(adaptation.predict(log_probs[0])), [first, 1 - first])
    adaptation.learn(0)
    # The step of the network: 0.06 (ln 0.8 - first ln 0.8 - (1 - first) ln 0.2) = 0.06 (1 - first) ln 4.
    np.testing.assert_allclose(adaptation._weights[0], [0.8 + 0.06 * (1 - first) * math.log(4), 0.2])
    assert adaptation._weights[1] == FIRST_WEIGHTS == (0.8, 0.2)
    assert STEP == 0.06


def test_each_prediction_is_a_distribution(text):
    adaptation = Adaptation(7)
    for row, token in zip(*text, strict=True):
        assert np.exp(adaptation.predict(row)).sum() == pytest.approx(1)
        adaptation.learn(int(token))


def test_the_step_goes_down_the_gradient_of_the_surprisal(text):
    log_probs, tokens = text
    adaptation = Adaptation(7)
    adaptation.surprisals(log_probs[:-1], tokens[:-1])
    row, token = log_probs[-1], int(tokens[-1])
    adaptation.predict(row)
    met = adaptation._last[0]
    u, v = before = adaptation._weights[met]

    def surprisal(*weights):
        adaptation._weights[met] = weights
        return -adaptation.predict(row)[token]

    e = 1e-6
    slopes = surprisal(u + e, v) - surprisal(u - e, v), surprisal(u, v + e) - surprisal(u, v - e)
    gradient = np.array(slopes) / (2 * e)
    surprisal(*before)
    step = STEP / math.sqrt(adaptation._steps[met] + 1)
    adaptation.learn(token)
    np.testing.assert_allclose(adaptation._weights[met], before - step * gradient, atol=1e-7)


def test_only_what_was_read_before_counts(text):
    log_probs, tokens = text
    whole = Adaptation(7).surprisals(log_probs, tokens)
    for place in (0, 1, 30, len(tokens) - 1):
        other = tokens.copy()
        other[place:] = (other[place:] + 3) % 7
        changed = Adaptation(7).surprisals(log_probs, other)
        np.testing.assert_array_equal(changed[:place], whole[:place])
        assert changed[place] != whole[place]
        np.testing.assert_array_equal(Adaptation(7).surprisals(log_probs[:place], tokens[:place]), whole[:place])


def test_windows_change_nothing(text):
    log_probs, tokens = text
    adaptation = Adaptation(7)
    parts = [adaptation.surprisals(log_probs[a:b], tokens[a:b]) for a, b in ((0, 5), (5, 6), (6, len(tokens)))]
    np.testing.assert_array_equal(np.concatenate(parts), Adaptation(7).surprisals(log_probs, tokens))


def test_weights_stay_in_their_bounds_and_surprisals_finite():
    adaptation = Adaptation(3)
    surprisals = adaptation.surprisals(np.tile(log_softmax(np.array([900.0, 0.0, 0.0])), (60, 1)), np.arange(60) % 2)
    assert np.isfinite(surprisals).all()
    assert all(0 <= weight <= LARGEST_WEIGHT for pair in adaptation._weights for weight in pair)

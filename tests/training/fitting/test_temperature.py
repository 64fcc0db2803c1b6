import math

import numpy as np
import pytest

from captioner.training.fitting.temperature import HIGHEST, LOWEST, fit_temperature, left_out


def test_odds_of_nine_where_three_are_right_are_brought_to_their_square_root():
    log_probs = np.log([[0.1, 0.9]] * 4)
    targets = np.array([1, 1, 1, 0])  # odds of 3, and 9 ** (1 / 2) is 3
    assert fit_temperature(log_probs, targets) == pytest.approx(2, abs=1e-5)


def test_too_cautious_probabilities_are_sharpened():
    log_probs = np.log([[0.25, 0.75]] * 10)
    targets = np.array([1] * 9 + [0])  # odds of 9, and 3 ** 2 is 9
    assert fit_temperature(log_probs, targets) == pytest.approx(0.5, abs=1e-5)


def test_the_loss_is_no_lower_a_little_to_either_side():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(400, 7))
    targets = rng.integers(7, size=400)
    targets[:200] = logits[:200].argmax(axis=1)

    def loss(temperature):
        scaled = logits / temperature
        return np.mean(np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(400), targets])

    fitted = fit_temperature(logits, targets)
    assert loss(fitted) < min(loss(fitted * 1.01), loss(fitted / 1.01), loss(1))


@pytest.mark.parametrize(("targets", "bound"), [([1, 1], LOWEST), ([0, 0], HIGHEST)])
def test_a_temperature_stays_within_bounds_where_none_is_best(targets, bound):
    assert fit_temperature(np.log([[0.2, 0.8]] * 2), np.array(targets)) == pytest.approx(bound)


def test_equal_probabilities_have_any_temperature():
    assert math.isfinite(fit_temperature(np.zeros((3, 4)), np.array([0, 1, 2])))


def test_how_much_is_left_out():
    assert left_out(1_000_000, 0.02, 67) == 20_000
    assert left_out(24_999, 0.02, 67) == 0  # 499 characters are too few
    assert left_out(1_000_000, 0.0, 67) == 0
    assert left_out(1_000_000, 0.02, 4096) == 1024  # as many as memory is meant for

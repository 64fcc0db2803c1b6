import numpy as np
import pytest

from captioner.decoding.sampling import draw, next_distribution

PROBS = np.array([0.1, 0.4, 0.05, 0.25, 0.2])
LOG_PROBS = np.log(PROBS)


def support(**settings):
    return set(np.flatnonzero(next_distribution(LOG_PROBS, **settings)).tolist())


def test_without_settings_the_distribution_stays():
    np.testing.assert_allclose(next_distribution(LOG_PROBS), PROBS, rtol=1e-12)


def test_temperature_is_a_power():
    np.testing.assert_allclose(next_distribution(LOG_PROBS, 0.5), PROBS**2 / (PROBS**2).sum(), rtol=1e-12)
    np.testing.assert_allclose(next_distribution(LOG_PROBS, 2.0), PROBS**0.5 / (PROBS**0.5).sum(), rtol=1e-12)


@pytest.mark.parametrize("temperature", [0.0, 1e-3, 1e-30, 5e-324])
def test_towards_temperature_0_only_the_likeliest_is_left(temperature):
    np.testing.assert_allclose(next_distribution(LOG_PROBS, temperature), [0, 1, 0, 0, 0], atol=1e-100)


@pytest.mark.parametrize(
    ("top_k", "kept"), [(1, {1}), (2, {1, 3}), (3, {1, 3, 4}), (5, {0, 1, 2, 3, 4}), (9, {0, 1, 2, 3, 4})]
)
def test_top_k_keeps_the_likeliest(top_k, kept):
    assert support(top_k=top_k) == kept
    expected = np.where(np.isin(range(5), list(kept)), PROBS, 0)
    np.testing.assert_allclose(next_distribution(LOG_PROBS, top_k=top_k), expected / expected.sum(), rtol=1e-12)


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [
        (0.01, {1}),
        (0.39, {1}),
        (0.41, {1, 3}),
        (0.64, {1, 3}),
        (0.66, {1, 3, 4}),
        (0.86, {0, 1, 3, 4}),
        (1, set(range(5))),
    ],
)
def test_top_p_keeps_the_fewest_that_hold_so_much(top_p, kept):
    assert support(top_p=top_p) == kept


def test_top_p_counts_in_what_top_k_left():
    # Of 0.4, 0.25 and 0.2 the first holds 0.47, the first two 0.76.
    assert support(top_k=3, top_p=0.7) == {1, 3}
    assert support(top_k=3, top_p=0.8) == {1, 3, 4}


def test_of_equals_the_lower_number_stays():
    equal = np.log(np.full(4, 0.25))
    assert np.flatnonzero(next_distribution(equal, top_k=2)).tolist() == [0, 1]
    assert np.flatnonzero(next_distribution(equal, top_p=0.5)).tolist() == [0, 1]


@pytest.mark.parametrize("settings", [{}, {"temperature": 5.0}, {"top_k": 2}, {"top_p": 0.9}, {"temperature": 0}])
def test_a_banned_token_is_never_left(settings):
    banned = np.array([-np.inf, -1.0, -2.0])
    probs = next_distribution(banned, **settings)
    assert probs[0] == 0
    assert probs.sum() == pytest.approx(1)


def test_numbers_far_from_0_and_float32_do_no_harm():
    np.testing.assert_allclose(next_distribution(LOG_PROBS.astype(np.float32) - 1e4), PROBS, atol=1e-3)
    assert next_distribution(np.array([0.0, -5000.0])).tolist() == [1, 0]


def test_draws_come_as_often_as_they_are_likely():
    rng = np.random.default_rng(5)
    counts = np.bincount([draw(PROBS, rng.random()) for _ in range(20_000)], minlength=5)
    np.testing.assert_allclose(counts / 20_000, PROBS, atol=4 * 0.5 / np.sqrt(20_000))


def test_draws_repeat_with_the_seed_and_leave_out_zeros():
    def drawn(seed):
        rng = np.random.default_rng(seed)
        return [draw(np.array([0, 0.5, 0.5, 0]), rng.random()) for _ in range(50)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert set(drawn(3)) == {1, 2}


@pytest.mark.parametrize(("uniform", "token"), [(0.0, 1), (0.299, 1), (0.301, 2), (1 - 2**-53, 2)])
def test_where_a_draw_falls(uniform, token):
    assert draw(np.array([0, 0.3, 0.7, 0]) * 0.999, uniform) == token

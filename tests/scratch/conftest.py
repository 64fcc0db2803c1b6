"""Finite differences, the judge of every backward pass here."""

from collections.abc import Callable

import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def gradient_error() -> Callable[[Callable[[], float], np.ndarray, np.ndarray], float]:
    """Returns a function that compares `analytic` with the slope of `loss` as the numbers of `x` are moved in place.

    The slope is the five-point stencil (8 (f(x+s) - f(x-s)) - (f(x+2s) - f(x-2s))) / 12s, whose error is of the order
    s⁴; the result is the largest |a - n| / (|a| + |n|).
    """

    def measure(loss: Callable[[], float], x: np.ndarray, analytic: np.ndarray) -> float:
        assert x.dtype == analytic.dtype == np.float64
        assert x.shape == analytic.shape
        analytic = analytic.copy()  # `loss` may run the layer whose gradient this is
        size = 1e-3
        numeric = np.empty_like(x)
        for place in np.ndindex(x.shape):
            value = x[place]
            slope = 0.0
            for steps, weight in ((1, 8), (-1, -8), (2, -1), (-2, 1)):
                x[place] = value + steps * size
                slope += weight * loss()
            x[place] = value
            numeric[place] = slope / (12 * size)
        assert np.abs(analytic).max() > 1e-3  # nothing is learnt from comparing zeros
        return float((np.abs(analytic - numeric) / np.maximum(np.abs(analytic) + np.abs(numeric), 1e-8)).max())

    return measure

"""The sigmoid and tanh activations."""

import numpy as np


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return σ(x) = 1 / (1 + e^-x), between 0 and 1, for any shape.

    Written as e^-ln(1 + e^-x), which does not overflow for large negative x.
    """
    return np.exp(-np.logaddexp(0, -x))


def tanh(x: np.ndarray) -> np.ndarray:
    """Return tanh(x) = (e^x - e^-x) / (e^x + e^-x) = 2 σ(2x) - 1, between -1 and 1, for any shape.

    NumPy's own, because 2 σ(2x) - 1 loses digits near 0, where it subtracts two numbers that are almost equal.
    """
    return np.tanh(x)


def tanh_derivative(x: np.ndarray) -> np.ndarray:
    """Return d tanh(x) / dx = 1 - tanh²(x), for any shape.

    A backward pass that has kept h = tanh(x) needs no x: the derivative is 1 - h².
    """
    return 1 - tanh(x) ** 2

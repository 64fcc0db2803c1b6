"""The recurrences in NumPy: the second half of each step; tests compare them with `captioner.layers.cells`."""

from collections.abc import Sequence

import numpy as np


def advance(
    cell: str,
    projected: np.ndarray,
    recurrent: np.ndarray,
    states: Sequence[np.ndarray],
    candidate_bias: np.ndarray | None = None,
) -> list[np.ndarray]:
    """Return the states after a step; the first is the output.

    Args:
        cell: `rnn`, `gru` or `lstm`.
        projected: x W_x + b, (..., G*U).
        recurrent: h W_h, (..., G*U); a caller that multiplies the state with other matrices too makes one product.
        states: those before, (..., U) each.
        candidate_bias: b_h (U,) of a GRU.
    """
    if cell == "rnn":
        return [np.tanh(projected + recurrent)]
    if cell == "gru":
        (h,) = states
        x_z, x_r, x_n = np.split(projected, 3, axis=-1)
        h_z, h_r, h_n = np.split(recurrent, 3, axis=-1)
        update = sigmoid(x_z + h_z)
        candidate = np.tanh(x_n + sigmoid(x_r + h_r) * (h_n + candidate_bias))
        return [update * h + (1 - update) * candidate]
    h, c = states
    i, f, g, o = np.split(projected + recurrent, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return [sigmoid(o) * np.tanh(c), c]


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x)), without its overflow."""
    return 0.5 * (1 + np.tanh(0.5 * x))

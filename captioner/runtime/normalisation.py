"""Layer normalisation in NumPy, as Keras does it."""

import numpy as np

EPSILON = 1e-3
"""What Keras's LayerNormalization adds to the variance."""


def normalised(values: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Centre and scale the last axis of values (..., U), then apply gamma (U,) and beta (U,)."""
    centred = values - values.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    return centred * (gamma / np.sqrt(variance + EPSILON)) + beta

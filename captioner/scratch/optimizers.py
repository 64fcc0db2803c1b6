"""Optimisers, which update the parameters of a model in place."""

from collections.abc import Sequence

import numpy as np


class SGD:
    """Gradient descent: p ← p - η g.

    Args:
        learning_rate: η.
    """

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate = learning_rate

    def update(self, params: Sequence[np.ndarray], grads: Sequence[np.ndarray]) -> None:
        """Take one step."""
        for param, grad in zip(params, grads, strict=True):
            param -= self.learning_rate * grad


class Adagrad:
    """A rate for each number, smaller the more it has moved: m ← m + g², p ← p - η g / √(m + ε) (Duchi et al. 2011).

    Args:
        learning_rate: η.
        epsilon: ε, which keeps the root from being 0.
    """

    def __init__(self, learning_rate: float, epsilon: float = 1e-8) -> None:
        self.learning_rate = learning_rate
        self.epsilon = epsilon
        self.memory: list[np.ndarray] = []

    def update(self, params: Sequence[np.ndarray], grads: Sequence[np.ndarray]) -> None:
        """Take one step; the parameters are the same at every call."""
        if not self.memory:
            self.memory = [np.zeros_like(param) for param in params]
        for param, grad, m in zip(params, grads, self.memory, strict=True):
            m += grad**2
            param -= self.learning_rate * grad / np.sqrt(m + self.epsilon)


def clip_gradients(grads: Sequence[np.ndarray], max_norm: float) -> float:
    """Shorten all gradients alike where they are longer than `max_norm`; return the norm they had.

    The norm is that of all numbers together, ‖g‖ = √Σ g²; if it is larger, g ← g max_norm / ‖g‖, which keeps the
    direction (Pascanu et al. 2013).
    """
    norm = float(np.sqrt(sum((grad**2).sum() for grad in grads)))
    if norm > max_norm:
        for grad in grads:
            grad *= max_norm / norm
    return norm

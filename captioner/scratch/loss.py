"""From scores to probabilities, and how surprising the right answer was."""

import numpy as np


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """Return ln p_v = s_v - ln Σ_k e^{s_k} over the last axis (..., V).

    The largest score is taken off first, which changes nothing but keeps e^s finite.
    """
    shifted = scores - scores.max(axis=-1, keepdims=True)  # (..., V)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))  # (..., V)


def softmax(scores: np.ndarray) -> np.ndarray:
    """Return p_v = e^{s_v} / Σ_k e^{s_k} over the last axis (..., V)."""
    return np.exp(log_softmax(scores))


class SoftmaxWithLoss:
    """Softmax with cross-entropy: L = -mean of ln p_target over all examples and steps, in nats."""

    def __init__(self) -> None:
        self.params: list[np.ndarray] = []
        self.grads: list[np.ndarray] = []
        self.cache: tuple[np.ndarray, ...] = ()

    def forward(self, scores: np.ndarray, targets: np.ndarray) -> float:
        """Return L for scores (N, T, V) and the right tokens, integers (N, T)."""
        log_p = log_softmax(scores)  # (N, T, V)
        self.cache = (log_p, targets)
        return -float(np.take_along_axis(log_p, targets[..., None], axis=-1).mean())

    def backward(self) -> np.ndarray:
        """Return ∂L/∂s = (p - onehot(target)) / (N T), of shape (N, T, V).

        Because L = mean of (ln Σ_k e^{s_k} - s_target): the first term has the derivative p, the second onehot(target).
        """
        log_p, targets = self.cache
        onehot = np.eye(log_p.shape[-1], dtype=log_p.dtype)[targets]  # (N, T, V)
        return (np.exp(log_p) - onehot) / targets.size  # (N, T, V)

"""The temperature at which a language model is neither overconfident nor too cautious, fitted on text left out."""

import numpy as np

LOWEST, HIGHEST = 0.1, 10.0
"""Bounds of a temperature."""

FEWEST = 500
"""Characters that suffice. One fitted number costs about 1 / (2 N) nats a character more than the best one."""

MOST_PROBABILITIES = 1 << 22
"""Probabilities that are fitted to at once: with V characters, N times V."""


def left_out(characters: int, share: float, vocabulary_size: int) -> int:
    """Return how many characters of a training text to leave out for the temperature; 0 for a short text."""
    count = min(int(share * characters), MOST_PROBABILITIES // vocabulary_size)
    return count if count >= FEWEST else 0


def fit_temperature(log_probs: np.ndarray, targets: np.ndarray) -> float:
    """Return the temperature that makes the targets likeliest (Guo et al. 2017, section 4.2), by Newton's method.

    The mean loss is convex in b, the inverse of the temperature:

        loss(b) = mean_n [ln sum_v exp(b l_nv) - b l_ny],  loss' = mean_n [E l_n - l_ny],  loss'' = mean_n Var l_n

    where expectation and variance are taken at the probabilities softmax(b l_n).

    Args:
        log_probs: l, the model's log-probabilities or logits, float (N, V).
        targets: y, the characters that came, int (N,).
    """
    log_probs = np.asarray(log_probs, np.float64)
    of_targets = np.take_along_axis(log_probs, targets[:, None], axis=1)[:, 0]  # (N,)
    inverse = 1.0
    for _ in range(100):
        scaled = inverse * log_probs  # (N, V)
        probabilities = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        expected = (probabilities * log_probs).sum(axis=1)  # (N,)
        variance = (probabilities * np.square(log_probs - expected[:, None])).sum(axis=1)  # (N,)
        slope, curvature = np.mean(expected - of_targets), np.mean(variance)
        # A step at most halves or doubles it: where the targets are all the likeliest, there is no end.
        step = np.clip(inverse - slope / max(curvature, 1e-12), inverse / 2, inverse * 2)
        before, inverse = inverse, float(np.clip(step, 1 / HIGHEST, 1 / LOWEST))
        if abs(inverse - before) < 1e-6:
            break
    return 1 / inverse

"""The interval of a difference between two ways, measured on the same photos."""

import numpy as np


def paired_interval(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """Return the 95% interval of the mean difference x 100, from 10,000 bootstrap samples of the photos (N,)."""
    difference, rng = after - before, np.random.default_rng(0)
    means = [difference[rng.integers(len(difference), size=len(difference))].mean() for _ in range(10_000)]
    low, high = 100 * np.percentile(means, (2.5, 97.5))
    return float(low), float(high)

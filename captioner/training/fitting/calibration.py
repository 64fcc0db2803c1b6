"""Fit confidence and familiarity (`captioner.model_files.calibration`) to training and dev photos."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from captioner.config.model import CalibrationConfig
from captioner.model_files.calibration import Calibration, distances

BINS = 10
"""Equally filled bins of dev captions, whose means the table of confidence goes through."""

DIRECTIONS = 128
"""Principal directions of the training photos that are kept, at most."""

PHOTOS_PER_DIRECTION = 8
"""Directions fitted to fewer photos describe those photos, and not photos of their kind."""

SURE = 2 / 3
"""The confidence from which a caption is sure."""

GUESS = 0.5
"""The confidence below which a caption is a guess, unless that is so of most dev captions: then it is their median."""

LOWEST_TENTH, FAMILIAR_SHARE = 0.1, 0.95

SMALL = 1e-6
"""Added to deviations, so that a channel that never varies can be divided by it."""


@dataclass(frozen=True)
class DevCaptions:
    """Captions of N dev photos, and how right they are.

    Attributes:
        scores: (N,), log-probability / length ** length_penalty.
        shares: (N,), of the content words that somebody used; see `captioner.metrics.content_words`.
        length_penalty: of the scores.
    """

    scores: np.ndarray
    shares: np.ndarray
    length_penalty: float


def fit_calibration(directions: Mapping[str, np.ndarray], dev: np.ndarray, captions: DevCaptions) -> Calibration:
    """Fit confidence and familiarity.

    At most one in twenty dev photos is unfamiliar, and at most one in twenty of the half with the surest captions, so
    that few good captions are doubted.

    Args:
        directions: of the training photos, as `principal_directions` gives them.
        dev: the means of the dev photos' features over the grid, float32 (N, D).
        captions: of the same dev photos.
    """
    scores, shares = fit_table(captions.scores, captions.shares)
    arrays = {"scores": scores, "shares": shares, **directions}
    confidence = np.interp(captions.scores, scores, shares)
    far = distances(dev, arrays)
    surest = far[confidence >= np.median(confidence)]
    config = CalibrationConfig(
        sure=SURE,
        guess=float(min(GUESS, np.median(confidence))),
        least=float(np.quantile(confidence, LOWEST_TENTH)),
        unfamiliar=float(max(np.quantile(each, FAMILIAR_SHARE) for each in (far, surest))),
        length_penalty=captions.length_penalty,
        points=len(scores),
        directions=len(arrays["directions"]),
        photos=len(captions.scores),
    )
    return Calibration(config, arrays)


def fit_table(scores: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return points (P,), (P,) of a table that rises from scores (N,) to the shares (N,) that go with them.

    The points are the means of equally filled bins, those that would fall joined with their neighbours (isotonic
    regression by pool-adjacent-violators: Zadrozny and Elkan 2002, "Transforming Classifier Scores into Accurate
    Multiclass Probability Estimates"), and the lowest and highest score, to which the line is extended.
    """
    order = np.argsort(scores, kind="stable")
    blocks: list[np.ndarray] = []
    for each in np.array_split(order, min(BINS, len(order))):
        blocks.append(each)
        while len(blocks) > 1 and shares[blocks[-2]].mean() >= shares[blocks[-1]].mean():
            last = blocks.pop()
            blocks[-1] = np.concatenate([blocks[-1], last])
    x = np.array([scores[each].mean() for each in blocks])
    y = np.array([shares[each].mean() for each in blocks])
    return _with_ends(x, y, float(scores[order[0]]), float(scores[order[-1]]))


def _with_ends(x: np.ndarray, y: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Extend the lines through the first two and the last two points (P,) to `low` and `high`."""
    if len(x) > 1:
        slopes = np.diff(y) / np.diff(x)
        ends = y[0] - slopes[0] * (x[0] - low), y[-1] + slopes[-1] * (high - x[-1])
    else:  # the score says nothing
        ends = y[0], y[0]
    x, y = np.array([low, *x, high]), np.clip([ends[0], *y, ends[1]], 0, 1)
    return x.astype(np.float32), y.astype(np.float32)


def principal_directions(means: np.ndarray) -> dict[str, np.ndarray]:
    """Return the `mean` and the `deviation` of photos (N, D), and the `directions` (R, D) in which they vary most.

    At most half of the D channels are kept, or nothing would be left outside of them.
    """
    mean, deviation = means.mean(axis=0, dtype=np.float64), means.std(axis=0, dtype=np.float64) + SMALL  # (D,)
    count = max(1, min(DIRECTIONS, means.shape[1] // 2, len(means) // PHOTOS_PER_DIRECTION))
    standardised = (means - mean) / deviation  # (N, D)
    _, found = np.linalg.eigh(standardised.T @ standardised)  # (D, D), the last varies most
    directions = found[:, : -count - 1 : -1].T  # (R, D)
    return {
        "mean": mean.astype(np.float32),
        "deviation": deviation.astype(np.float32),
        "directions": directions.astype(np.float16),
    }

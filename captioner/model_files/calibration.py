"""Confidence and familiarity: how far to trust a caption, and whether a photo is like those the model learned from.

**Confidence** is the share of a caption's content words that at least one person used, as it was on dev for captions
with such a score. It is read from a table that rises with the score.

**Familiarity** looks at the photo alone. With x (D,) the mean of its features over the grid, standardised by the mean
and the deviation of the training photos, and V (R, D) the R principal directions of these, its distance is

    || x - V^T V x ||,

the residual that the directions leave (Jackson and Mudholkar 1979, "Control Procedures for Residuals Associated with
Principal Component Analysis", equation 2.1). A photo whose distance exceeds that of nineteen in twenty dev photos is
unfamiliar.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from captioner.config.model import CalibrationConfig

SURE, PROBABLY, GUESS = "sure", "probably", "a guess"
"""What captions are called, from the surest on."""

UNFAMILIAR = "unlike its training photos"
"""What is said of a caption whose photo is."""


def calibration_shapes(config: CalibrationConfig, channels: int) -> dict[str, tuple[int, ...]]:
    """Name the arrays of a calibration, with their shapes, for features of `channels` (D)."""
    return {
        "scores": (config.points,),
        "shares": (config.points,),
        "mean": (channels,),
        "deviation": (channels,),
        "directions": (config.directions, channels),
    }


@dataclass(frozen=True)
class Calibration:
    """Confidence and familiarity of a model.

    Attributes:
        config: the limits of what is sure, a guess, and unfamiliar.
        arrays: by the names of `calibration_shapes`: `scores` (P,) that rise and the `shares` (P,) of them, `mean` (D,)
            and `deviation` (D,) of the training photos' features, and the orthonormal `directions` (R, D).
    """

    config: CalibrationConfig
    arrays: Mapping[str, np.ndarray]

    def confidence(self, log_prob: float, length: int) -> float:
        """Return the expected share of right content words, from 0 to 1.

        Args:
            log_prob: natural log-probability of a caption.
            length: the tokens in it, the end token counted.
        """
        score = log_prob / max(1, length) ** self.config.length_penalty
        return float(np.interp(score, self.arrays["scores"], self.arrays["shares"]))

    def certainty(self, confidence: float) -> str:
        """Return the confidence in words: "sure", "probably", or "a guess"."""
        if confidence >= self.config.sure:
            return SURE
        return GUESS if confidence < self.config.guess else PROBABLY

    def is_doubtful(self, confidence: float | None) -> bool:
        """Return whether a caption is less sure than nine of ten on dev were; one of unknown confidence is not."""
        return confidence is not None and confidence < self.config.least

    def distance(self, features: np.ndarray) -> float:
        """Return how far a photo with features (L, D) is from those that the model learned from."""
        return float(distances(features.mean(axis=0, dtype=np.float32)[None], self.arrays)[0])

    def standardised(self, features: np.ndarray) -> np.ndarray:
        """Return the means over the grid of photos with features (B, L, D), standardised (B, D)."""
        return standardised(features.mean(axis=1, dtype=np.float32), self.arrays)

    def is_familiar(self, features: np.ndarray) -> bool:
        """Return whether a photo with features (L, D) is like those that the model learned from."""
        return self.distance(features) <= self.config.unfamiliar


def standardised(means: np.ndarray, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return features whose means over the grid are (N, D) by the mean and deviation of the training photos (N, D)."""
    return np.asarray((np.asarray(means, np.float32) - arrays["mean"]) / arrays["deviation"])


def distances(means: np.ndarray, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the distances (N,) of photos whose features have these means over the grid (N, D)."""
    x = standardised(means, arrays)  # (N, D)
    directions = arrays["directions"].astype(np.float32)  # (R, D)
    residual = x - x @ directions.T @ directions  # (N, D)
    return np.sqrt(np.square(residual).sum(axis=1))

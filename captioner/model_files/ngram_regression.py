"""The n-grams that people are likely to use of a photo, by linear regression on its features.

    f = P x,    e_g = w_g · f

x (D,) is the mean of the photo's features over the grid, standardised as in `model_files.calibration`; f (R,) are its
factors along the directions P (R, D). e_g says how much more weight the captions of such a photo give to the n-gram
g than those of the average photo; it is negative for what they rather leave out. The average itself is left out: to
agree with it, a caption would have to fit any photo.

No sentence and no photo is kept: of each n-gram there is a checksum, in how many training photos people used it, and
R weights.
"""

import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from captioner.config.model import ConsensusConfig
from captioner.metrics.cider import Ngram


def regression_shapes(config: ConsensusConfig, channels: int) -> dict[str, tuple[int, ...]]:
    """Name the arrays of a regression, with their shapes, for features of `channels` (D)."""
    return {
        "directions": (config.factors, channels),
        "ngrams": (config.ngrams,),
        "photos": (config.ngrams,),
        "weights": (config.ngrams, config.factors),
        "scales": (config.ngrams,),
    }


@dataclass(frozen=True)
class NgramRegression:
    """What people say of photos, as a function of their features.

    Attributes:
        config: the sizes, and how much agreement counts.
        arrays: by the names of `regression_shapes`: `directions` float16 (R, D); the G `ngrams` uint32 (G,), rising,
            with the number of training `photos` uint32 (G,) that have each; and int8 `weights` (G, R), each row times
            one of the `scales` float32 (G,).

    Raises:
        ValueError: the n-grams do not rise.
    """

    config: ConsensusConfig
    arrays: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        """Check that the n-grams can be searched."""
        if (np.diff(self.arrays["ngrams"].astype(np.int64)) <= 0).any():
            raise ValueError("the n-grams are not in order")

    @cached_property
    def _directions(self) -> np.ndarray:
        """The directions, float32 (D, R)."""
        return np.ascontiguousarray(self.arrays["directions"].T, np.float32)

    def factors(self, standardised: np.ndarray) -> np.ndarray:
        """Return the factors (B, R) of photos with standardised features (B, D)."""
        return np.asarray(np.asarray(standardised, np.float32) @ self._directions)

    def of(self, keys: np.ndarray, factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the idf of n-grams, and what is expected of each for a photo: float32 (N,) and (N,).

        Those that are not here have the idf of an n-gram that one training photo has, and 0 is expected of them.

        Args:
            keys: of the n-grams, uint32 (N,).
            factors: of the photo (R,).
        """
        highest = math.log(max(1, self.config.photos))
        idf, expected = np.full(len(keys), highest, np.float32), np.zeros(len(keys), np.float32)
        if len(ngrams := self.arrays["ngrams"]):
            places = np.minimum(np.searchsorted(ngrams, keys), len(ngrams) - 1)
            here = ngrams[places] == keys
            found = places[here]
            idf[here] = highest - np.log(np.maximum(1, self.arrays["photos"][found]))
            expected[here] = self.arrays["weights"][found] @ factors * self.arrays["scales"][found]
        return idf, expected


@lru_cache(100_000)
def ngram_key(ngram: Ngram) -> int:
    """Return the checksum by which an n-gram is known, 32 bits."""
    return zlib.crc32(" ".join(ngram).encode("utf-8", errors="surrogatepass"))


def ngram_keys(ngrams: Iterable[Ngram]) -> np.ndarray:
    """Return the checksums of n-grams, uint32 (N,)."""
    return np.fromiter(map(ngram_key, ngrams), np.uint32)

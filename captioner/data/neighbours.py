"""What people said of training photos like the one at hand, as weights of n-grams.

No sentence is kept. Of each training photo there is where it lies among the others, and which n-grams its captions
had, as checksums, with their weights. For a photo, the nearest training photos are those with the largest cosine

    cos_j = a · b_j / (|a| |b_j|)

of the photo a (R,) with a training photo b_j (R,), both along the principal directions of
`captioner.data.calibration`. Their n-grams are added up with the weights softmax(sharpness · cos_j) over the nearest.
"""

import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from captioner.config import ConsensusConfig
from captioner.metrics.cider import Ngram

BLOCK = 512
"""Training photos that are compared at once."""

WHOLE = 255
"""What stands for the weight 1 in the file."""


def neighbour_shapes(config: ConsensusConfig, directions: int) -> dict[str, tuple[int, ...]]:
    """Name the arrays of the neighbours, with their shapes, for photos along so many directions (R)."""
    return {
        "photos": (config.photos, directions),
        "starts": (config.photos + 1,),
        "ngrams": (config.entries,),
        "weights": (config.entries,),
        "common": (config.common,),
        "idf": (config.common,),
    }


class NgramWeights(NamedTuple):
    """Weights of n-grams.

    Attributes:
        keys: (K,) uint32, their checksums, rising.
        weights: (K,) float32.
    """

    keys: np.ndarray
    weights: np.ndarray

    def of(self, keys: np.ndarray, default: float = 0.0) -> np.ndarray:
        """Return the weights of n-grams with these keys (N,), `default` for those that are not here."""
        if not len(self.keys):
            return np.full(len(keys), default, np.float32)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[places] == keys, self.weights[places], np.float32(default))


@dataclass(frozen=True)
class Neighbours:
    """The training photos of a model.

    Attributes:
        config: how many neighbours count, and how much.
        arrays: by the names of `neighbour_shapes`: `photos` int8 (N, R), each scaled by itself; of photo j the n-grams
            `starts[j]` to `starts[j + 1]` of `ngrams` uint32 (K,), with `weights` uint8 (K,); and the `idf` float32
            (M,) of `common` n-grams uint32 (M,), those that more than one photo has.

    Raises:
        ValueError: `starts` do not rise from 0 to K.
    """

    config: ConsensusConfig
    arrays: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        """Check the parts that are used as numbers of others."""
        starts = self.arrays["starts"].astype(np.int64)
        if starts[0] or starts[-1] != self.config.entries or (np.diff(starts) < 0).any():
            raise ValueError("the parts of the photos do not follow each other")

    @property
    def log_photos(self) -> float:
        """The idf of an n-gram that at most one training photo has."""
        return math.log(max(1, self.config.photos))

    @cached_property
    def idf(self) -> NgramWeights:
        """The idf of the n-grams that more than one photo has."""
        return NgramWeights(self.arrays["common"], self.arrays["idf"])

    @cached_property
    def _lengths(self) -> np.ndarray:
        """The lengths of the training photos' vectors, float32 (N,)."""
        squares = [np.einsum("nr,nr->n", block, block) for block in self._blocks()]
        return np.maximum(np.sqrt(np.concatenate(squares)), 1e-6)

    def _blocks(self) -> Iterator[np.ndarray]:
        """Give the training photos as float32 (BLOCK, R), a few at a time in the same memory: new memory costs more."""
        photos = self.arrays["photos"]
        memory = np.empty((min(BLOCK, len(photos)), photos.shape[1]), np.float32)
        for start in range(0, len(photos), BLOCK):
            block = memory[: len(photos) - start]
            block[:] = photos[start : start + BLOCK]
            yield block

    def near(self, projected: np.ndarray) -> list[NgramWeights]:
        """Return the weights of the n-grams that the nearest training photos have, for each photo.

        Args:
            projected: the photos along the principal directions (B, R).
        """
        lengths = np.maximum(np.sqrt(np.square(projected).sum(axis=1, keepdims=True)), 1e-6)
        units = (projected / lengths).T  # (R, B)
        cosines = np.concatenate([block @ units for block in self._blocks()]) / self._lengths[:, None]  # (N, B)
        return [self._added_up(each) for each in cosines.T]

    def _added_up(self, cosines: np.ndarray) -> NgramWeights:
        """Return the weights of the n-grams of the training photos with the largest cosines (N,)."""
        count = min(self.config.neighbours, len(cosines))
        nearest = np.argpartition(-cosines, count - 1)[:count]
        nearest = nearest[np.lexsort((nearest, -cosines[nearest]))]
        shares = np.exp(self.config.sharpness * (cosines[nearest] - cosines[nearest[0]]))
        shares /= shares.sum() * WHOLE
        spans = [slice(self.arrays["starts"][photo], self.arrays["starts"][photo + 1]) for photo in nearest]
        keys = np.concatenate([self.arrays["ngrams"][span] for span in spans])
        parts = [self.arrays["weights"][span] * share for span, share in zip(spans, shares, strict=True)]
        unique, places = np.unique(keys, return_inverse=True)
        return NgramWeights(unique, np.bincount(places, np.concatenate(parts), len(unique)).astype(np.float32))


@lru_cache(100_000)
def ngram_key(ngram: Ngram) -> int:
    """Return the checksum by which an n-gram is known, 32 bits."""
    return zlib.crc32(" ".join(ngram).encode("utf-8", errors="surrogatepass"))


def ngram_keys(ngrams: Iterable[Ngram]) -> np.ndarray:
    """Return the checksums of n-grams, uint32 (N,)."""
    return np.fromiter(map(ngram_key, ngrams), np.uint32)

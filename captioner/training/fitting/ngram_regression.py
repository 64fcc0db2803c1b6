"""Fit `captioner.model_files.ngram_regression` to training photos and what people said of them."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from captioner.config.model import ConsensusConfig
from captioner.decoding.consensus import agreements, consensus_order
from captioner.decoding.hypothesis import Hypothesis
from captioner.metrics.bleu import bleu_counts, bleu_of
from captioner.metrics.cider import CiderD, DocumentFrequency, Ngram, count_documents, ngrams_of
from captioner.model_files.ngram_regression import NgramRegression, ngram_keys
from captioner.text import Vocabulary

FACTORS = 256
"""At most."""

FEWEST_PHOTOS = 5
"""An n-gram that fewer training photos have is left out."""

RIDGES = (0.003, 0.01, 0.1, 1.0)
"""Penalties that are tried on dev, as multiples of the mean variance of a channel."""

WEIGHTS = (4.0, 8.0, 12.0, 16.0, 24.0, 32.0)
"""Of the agreement, tried on dev."""

AT_ONCE = 2048
"""N-grams whose weights in all photos are in memory at once."""

TINY = 1e-12
"""Takes the place of a length of 0 that is divided by."""

NEGLIGIBLE = 1e-7
"""Variance along a direction, as a share of the largest, below which photos do not vary."""

Words = Sequence[str]


class _Ngrams(NamedTuple):
    """N-grams of captions, and their mean weights in the captions of the photos, where these are not 0.

    Attributes:
        keys: (G,) uint32, rising.
        photos: (G,) uint32, how many photos have each.
        deviations: (G,), of their weights over all photos.
        columns: (K,), the n-gram of each weight, rising.
        rows: (K,), the photo.
        values: (K,) float32, the weights.
    """

    keys: np.ndarray
    photos: np.ndarray
    deviations: np.ndarray
    columns: np.ndarray
    rows: np.ndarray
    values: np.ndarray


class NgramFit:
    """Ridge regression of reduced rank from photos to the weights of the n-grams in their captions.

    With X (N, D) the standardised features, Y (N, G) the weights and E Λ E^T = X^T X, the coefficients of ridge
    regression (Hoerl and Kennard 1970) are E C, C = (Λ + λ)^-1 E^T X^T Y. Of the fitted values X E C only what varies
    most is kept (Izenman 1975, "Reduced-Rank Regression for the Multivariate Linear Model"): with Z (D, R) the leading
    eigenvectors of Λ^1/2 C C^T Λ^1/2,

        P = N^1/2 (E Λ^-1/2 Z)^T,    w = (Z^T Λ^1/2 C)^T,    w_g <- σ_g w_g / |w_g|.

    The last step gives what is expected of each n-gram the deviation σ_g over the training photos that its weights
    have. Ridge regression shrinks rare n-grams most, and captions would be chosen without rare words.

    Args:
        captions: of each of N photos, as words.
        standardised: the photos' features (N, D), with mean 0 and deviation 1.
        known_words: those that the model can say; n-grams with others are left out.
    """

    def __init__(self, captions: Sequence[Sequence[Words]], standardised: np.ndarray, known_words: set[str]) -> None:
        documents = count_documents(captions)
        self._photos = len(captions)
        self._ngrams = _gather(captions, documents, known_words)
        values, vectors = np.linalg.eigh(standardised.T.astype(np.float64) @ standardised)  # (D,), (D, D)
        varies = values > NEGLIGIBLE * values[-1]
        self._eigenvalues, self._eigenvectors = values[varies], vectors[:, varies]
        self._ridge_unit = values.mean()
        scores = (standardised @ self._eigenvectors).astype(np.float32)  # (N, D')
        self._products = _products(scores, self._ngrams)  # (D', G)

    def regression(self, ridge: float, weight: float) -> NgramRegression:
        """Return the regression with a penalty as in `RIDGES`, and this weight of the agreement."""
        root = np.sqrt(self._eigenvalues)  # (D',)
        fitted = (root / (self._eigenvalues + ridge * self._ridge_unit))[:, None] * self._products  # (D', G)
        _, found = np.linalg.eigh(fitted @ fitted.T)
        kept = found[:, : -FACTORS - 1 : -1]  # (D', R)
        weights = (kept.T @ fitted).T  # (G, R)
        weights *= (self._ngrams.deviations / np.maximum(np.linalg.norm(weights, axis=1), TINY))[:, None]
        scales = np.maximum(np.abs(weights).max(axis=1, initial=0), TINY) / 127
        config = ConsensusConfig(weight, ridge, self._photos, kept.shape[1], len(weights))
        arrays = {
            "directions": ((self._eigenvectors * (math.sqrt(self._photos) / root)) @ kept).T.astype(np.float16),
            "ngrams": self._ngrams.keys,
            "photos": self._ngrams.photos,
            "weights": np.round(weights / scales[:, None]).astype(np.int8),
            "scales": scales.astype(np.float32),
        }
        return NgramRegression(config, arrays)


def _gather(captions: Sequence[Sequence[Words]], documents: DocumentFrequency, known_words: set[str]) -> _Ngrams:
    """Gather the n-grams that enough photos have, and the means of their TF-IDF, normalised per caption and order."""
    kept = [
        ngram for ngram, count in documents.counts.items() if count >= FEWEST_PHOTOS and known_words.issuperset(ngram)
    ]
    keys, first = np.unique(ngram_keys(kept), return_index=True)
    columns = {kept[place]: column for column, place in enumerate(first.tolist())}
    found = [_weights(each, documents, columns) for each in captions]
    rows = np.repeat(np.arange(len(captions)), [len(each) for each in found])
    numbers = np.array([column for each in found for column in each], np.int64)
    order = np.argsort(numbers, kind="stable")
    numbers, rows = numbers[order], rows[order]
    values = np.array([value for each in found for value in each.values()], np.float32)[order]
    photos = np.array([documents.counts[ngram] for ngram in columns], np.uint32)
    means, squares = (np.bincount(numbers, each, len(keys)) / len(captions) for each in (values, np.square(values)))
    deviations = np.sqrt(np.maximum(squares - np.square(means), 0))
    return _Ngrams(keys, photos, deviations, numbers, rows, values)


def _weights(captions: Sequence[Words], documents: DocumentFrequency, columns: dict[Ngram, int]) -> dict[int, float]:
    """Return the weights of a photo's n-grams by their columns."""
    total: defaultdict[int, float] = defaultdict(float)
    for words in captions:
        for ngrams in ngrams_of(words):
            tfidf = {
                ngram: count * math.log(documents.images / max(1, documents.counts[ngram]))
                for ngram, count in Counter(ngrams).items()
            }
            norm = math.sqrt(sum(value * value for value in tfidf.values()))
            for ngram, value in tfidf.items():
                if norm and ngram in columns:
                    total[columns[ngram]] += value / norm / len(captions)
    return total


def _products(scores: np.ndarray, ngrams: _Ngrams) -> np.ndarray:
    """Return X^T Y (D', G) of scores X (N, D') and the weights Y of n-grams, some columns of Y at a time."""
    products = np.empty((scores.shape[1], len(ngrams.keys)))
    for start in range(0, len(ngrams.keys), AT_ONCE):
        stop = min(start + AT_ONCE, len(ngrams.keys))
        span = slice(*np.searchsorted(ngrams.columns, (start, stop)))
        block = np.zeros((len(scores), stop - start), np.float32)
        block[ngrams.rows[span], ngrams.columns[span] - start] = ngrams.values[span]
        products[:, start:stop] = scores.T @ block
    return products


def choose_regression(
    fit: NgramFit,
    beams: Sequence[Sequence[Hypothesis]],
    standardised: np.ndarray,
    vocabulary: Vocabulary,
    references: Sequence[Sequence[Words]],
) -> NgramRegression | None:
    """Return the regression with which CIDEr-D + BLEU-4 of dev is best; None where the network alone is as good.

    Args:
        fit: to the training photos.
        beams: what the search found for each of N dev photos.
        standardised: the features of the dev photos (N, D).
        vocabulary: the words behind the tokens.
        references: what people said of them.
    """
    captions = [[vocabulary.decode(each.tokens) for each in beam] for beam in beams]
    value = _Value(beams, captions, references)
    highest, best = value([np.zeros(len(beam)) for beam in beams], 0.0), None
    for ridge in RIDGES:
        regression = fit.regression(ridge, 0.0)
        factors = regression.factors(standardised)
        agreement = [agreements(*each, regression) for each in zip(captions, factors, strict=True)]
        for weight in WEIGHTS:
            if (found := value(agreement, weight)) > highest:
                highest, best = found, NgramRegression(replace(regression.config, weight=weight), regression.arrays)
    return best


class _Value:
    """CIDEr-D + BLEU-4 of the captions that are chosen by some agreement, each of whose candidates is scored once.

    Args:
        beams: what the search found for each photo.
        captions: the same as words.
        references: what people said of the photos.
    """

    def __init__(
        self,
        beams: Sequence[Sequence[Hypothesis]],
        captions: Sequence[Sequence[Words]],
        references: Sequence[Sequence[Words]],
    ) -> None:
        cider = CiderD(references)
        self._beams = beams
        self._cider = [[cider.score(photo, words) for words in each] for photo, each in enumerate(captions)]
        self._counts = [
            [bleu_counts(words, refs) for words in each] for each, refs in zip(captions, references, strict=True)
        ]

    def __call__(self, agreement: Sequence[np.ndarray], weight: float) -> float:
        """Return the value for the agreements (H,) of each photo's candidates."""
        best = [consensus_order(beam, each, weight)[0] for beam, each in zip(self._beams, agreement, strict=True)]
        cider = np.mean([scores[number] for scores, number in zip(self._cider, best, strict=True)])
        return float(cider) + bleu_of([counts[number] for counts, number in zip(self._counts, best, strict=True)])[3]

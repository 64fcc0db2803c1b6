"""CIDEr-D: of a set of captions, and of one caption at a time, fast enough to be a reward."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

ORDERS = (1, 2, 3, 4)
SIGMA = 6.0

Ngram = tuple[str, ...]


class DocumentFrequency(NamedTuple):
    """In how many of a number of images each n-gram occurs, in at least one reference."""

    images: int
    counts: Mapping[Ngram, int]


class _Vector(NamedTuple):
    """TF-IDF of one caption: weights and Euclidean norm by order of n-gram, and the number of its bigrams."""

    weights: list[dict[Ngram, float]]
    norms: list[float]
    length: int


class CiderD:
    """Scores captions against the references of a set of images.

    For a caption h and the references r_1..r_m of its image,

        CIDEr-D = 10/m Σ_j 1/4 Σ_n exp(-(l_h - l_j)² / 2σ²) · min(g_n(h), g_n(r_j)) · g_n(r_j) / (|g_n(h)| |g_n(r_j)|)

    with n = 1..4, σ = 6, lengths l in bigrams, and g_n the vector of TF-IDF over the n-grams: how often one
    occurs in the caption times ln(images) - ln(max(1, images with it in a reference)). From 0 to 10.

    What depends on the references alone is computed once, here. `document_frequency` is that of these
    references unless given; with a single image every weight is ln 1 = 0, and so is every score.

    Source: Vedantam, Zitnick and Parikh 2015, "CIDEr: consensus-based image description evaluation", equations
    2 and 5, with the raw counts and the length in bigrams of its code in the COCO caption evaluation.

    Raises:
        ValueError: an image has no reference.
    """

    def __init__(
        self,
        references: Sequence[Sequence[Sequence[str]]],
        document_frequency: DocumentFrequency | None = None,
    ) -> None:
        if not all(references):
            raise ValueError("every image needs at least one reference")
        if document_frequency is None:
            document_frequency = count_documents(references)
        self._log_images = math.log(document_frequency.images)
        self._idf = {
            ngram: self._log_images - math.log(max(1, count)) for ngram, count in document_frequency.counts.items()
        }
        self._references = [[self._vector(words) for words in refs] for refs in references]

    def score(self, image_index: int, hypothesis: Sequence[str]) -> float:
        """CIDEr-D, from 0 to 10, of one caption for the image whose references were the `image_index`-th."""
        ours = self._vector(hypothesis)
        references = self._references[image_index]
        total = 0.0
        for theirs in references:
            cosines = 0.0
            for our, our_norm, their, their_norm in zip(
                ours.weights, ours.norms, theirs.weights, theirs.norms, strict=True
            ):
                if our_norm and their_norm:
                    dot = sum(min(our[ngram], their[ngram]) * their[ngram] for ngram in our.keys() & their.keys())
                    cosines += dot / (our_norm * their_norm)
            total += cosines * math.exp(-((ours.length - theirs.length) ** 2) / (2 * SIGMA**2))
        return 10 * total / (len(ORDERS) * len(references))

    def scores(self, hypotheses: Sequence[Sequence[str]]) -> np.ndarray:
        """CIDEr-D of one caption an image, in the order of the references: float64 (images,).

        Raises:
            ValueError: there are more or fewer captions than images.
        """
        if len(hypotheses) != len(self._references):
            raise ValueError(f"{len(hypotheses)} captions for {len(self._references)} images")
        return np.array([self.score(index, words) for index, words in enumerate(hypotheses)])

    def _vector(self, words: Sequence[str]) -> _Vector:
        weights = [
            {ngram: count * self._idf.get(ngram, self._log_images) for ngram, count in Counter(ngrams).items()}
            for ngrams in ngrams_of(words)
        ]
        norms = [math.sqrt(sum(weight * weight for weight in order.values())) for order in weights]
        return _Vector(weights, norms, max(0, len(words) - 1))


def count_documents(references: Sequence[Sequence[Sequence[str]]]) -> DocumentFrequency:
    """Count for each n-gram, n = 1..4, the images that have it in at least one of their references."""
    counts: Counter[Ngram] = Counter()
    for refs in references:
        counts.update({ngram for words in refs for ngrams in ngrams_of(words) for ngram in ngrams})
    return DocumentFrequency(len(references), counts)


def ngrams_of(words: Sequence[str]) -> list[list[Ngram]]:
    """Return the n-grams of a caption in order, for each n of `ORDERS`."""
    words = tuple(words)
    return [[words[start : start + n] for start in range(len(words) - n + 1)] for n in ORDERS]

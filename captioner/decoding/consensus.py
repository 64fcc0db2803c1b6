"""Choose among the captions that a search found the one that agrees with what people say of such photos.

The best is the caption h with the largest

    log p(h) / length^p + weight · 1/4 Σ_n g_n(h) · e_n / |g_n(h)|,    n = 1..4,

where g_n(h) are the TF-IDF weights of the caption's n-grams (Vedantam, Zitnick and Parikh 2015, equation 1), and e_n
those that `captioner.model_files.ngram_regression` expects of the photo's captions. The idea of agreement with people's
captions of similar photos is from Devlin et al. 2015, "Exploring Nearest Neighbor Approaches for Image Captioning".
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from captioner.decoding.hypothesis import Hypothesis
from captioner.metrics.cider import ORDERS, ngrams_of
from captioner.model_files.ngram_regression import NgramRegression, ngram_keys
from captioner.text import Vocabulary


def agreements(captions: Sequence[Sequence[str]], factors: np.ndarray, regression: NgramRegression) -> np.ndarray:
    """Return how far each of H captions agrees with what is expected of a photo with these factors (R,): float64 (H,).

    It is 0 for phrases that fit this photo as well as the average one, and negative for those that fit it less.
    """
    counts = [Counter(ngrams) for words in captions for ngrams in ngrams_of(words)]  # H * 4
    keys = ngram_keys(ngram for each in counts for ngram in each)
    group = np.repeat(np.arange(len(counts)), [len(each) for each in counts])
    number = np.array([count for each in counts for count in each.values()], np.float64)
    idf, expected = regression.of(keys, factors)
    tfidf = number * idf
    norms = np.sqrt(np.bincount(group, np.square(tfidf), len(counts)))
    dots = np.bincount(group, tfidf * expected, len(counts))
    products = np.divide(dots, norms, out=np.zeros(len(counts)), where=norms > 0)
    return products.reshape(-1, len(ORDERS)).mean(axis=1)


def chosen(
    hypotheses: Sequence[Hypothesis], factors: np.ndarray, regression: NgramRegression, vocabulary: Vocabulary
) -> list[Hypothesis]:
    """Return what a search found for a photo with these factors (R,), best first by score and agreement."""
    words = [vocabulary.decode(each.tokens) for each in hypotheses]
    order = consensus_order(hypotheses, agreements(words, factors, regression), regression.config.weight)
    return [hypotheses[h] for h in order]


def consensus_order(hypotheses: Sequence[Hypothesis], agreement: np.ndarray, weight: float) -> list[int]:
    """Return the numbers of hypotheses with these agreements (H,) best first, those that were cut behind all others."""
    return sorted(
        range(len(hypotheses)),
        key=lambda h: (not hypotheses[h].finished, -(hypotheses[h].score + weight * float(agreement[h]))),
    )

"""Choose among the captions that a search found the one that agrees with what people said of photos like this one.

The best is the caption h with the largest

    log p(h) / length^p + weight · 1/4 Σ_n cos_n(h, near),    n = 1..4,

where cos_n is the cosine of CIDEr (Vedantam, Zitnick and Parikh 2015, equation 2) between the TF-IDF weights of the
caption's n-grams and those that the captions of the nearest training photos have on average. After Devlin et al. 2015,
"Exploring Nearest Neighbor Approaches for Image Captioning", where the candidates are the neighbours' own captions.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from captioner.data.neighbours import Neighbours, NgramWeights, ngram_keys
from captioner.decoding.hypothesis import Hypothesis
from captioner.metrics.cider import ORDERS, ngrams_of
from captioner.text import Vocabulary


def agreements(captions: Sequence[Sequence[str]], near: NgramWeights, known: Neighbours) -> np.ndarray:
    """Return how far each of H captions agrees with the n-grams `near` a photo: float64 (H,), from 0 to 1."""
    counts = [Counter(ngrams) for words in captions for ngrams in ngrams_of(words)]  # H * 4
    keys = ngram_keys(ngram for each in counts for ngram in each)
    group = np.repeat(np.arange(len(counts)), [len(each) for each in counts])
    number = np.array([count for each in counts for count in each.values()], np.float64)
    tfidf = number * known.idf.of(keys, known.log_photos)
    norms = np.sqrt(np.bincount(group, np.square(tfidf), len(counts)))
    dots = np.bincount(group, tfidf * near.of(keys), len(counts))
    cosines = np.divide(dots, norms, out=np.zeros(len(counts)), where=norms > 0)
    return cosines.reshape(-1, len(ORDERS)).mean(axis=1)


def chosen(
    hypotheses: Sequence[Hypothesis], near: NgramWeights, known: Neighbours, vocabulary: Vocabulary
) -> list[Hypothesis]:
    """Return what a search found for a photo, best first by score and agreement with the n-grams `near` it."""
    words = [vocabulary.decode(each.tokens) for each in hypotheses]
    return by_consensus(hypotheses, agreements(words, near, known), known.config.weight)


def by_consensus(hypotheses: Sequence[Hypothesis], agreement: np.ndarray, weight: float) -> list[Hypothesis]:
    """Return hypotheses with these agreements (H,) best first, those that were cut behind all others."""
    order = sorted(
        range(len(hypotheses)),
        key=lambda h: (not hypotheses[h].finished, -(hypotheses[h].score + weight * float(agreement[h]))),
    )
    return [hypotheses[h] for h in order]

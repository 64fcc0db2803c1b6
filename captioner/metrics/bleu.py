"""BLEU-1 to BLEU-4 of a set of captions."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

ORDERS = (1, 2, 3, 4)


class BleuCounts(NamedTuple):
    """The counts that BLEU sums over captions.

    Attributes:
        found: n-grams of the caption that are in its references, each at most as often as in one of them; n = 1..4.
        total: n-grams of the caption.
        length: words of the caption.
        reference_length: words of the reference closest to it in length, the shorter of two as close.
    """

    found: tuple[int, ...]
    total: tuple[int, ...]
    length: int
    reference_length: int


def bleu(
    hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> tuple[float, float, float, float]:
    """BLEU-1, -2, -3 and -4 of the whole set, each from 0 to 1; see `bleu_of`."""
    return bleu_of(bleu_counts(words, refs) for words, refs in zip(hypotheses, references, strict=True))


def bleu_counts(hypothesis: Sequence[str], references: Sequence[Sequence[str]]) -> BleuCounts:
    """Return the counts of one caption for the BLEU of a set.

    `nltk.translate.bleu_score.corpus_bleu` is not used as a whole because it counts one n-gram in a hypothesis
    that is too short to have any.
    """
    from nltk.translate.bleu_score import closest_ref_length, modified_precision

    length = len(hypothesis)
    precisions = [modified_precision(references, hypothesis, n) for n in ORDERS if length >= n]
    return BleuCounts(
        tuple(each.numerator for each in precisions) + (0,) * (len(ORDERS) - len(precisions)),
        tuple(max(0, length - n + 1) for n in ORDERS),
        length,
        closest_ref_length(references, length),
    )


def bleu_of(counts: Iterable[BleuCounts]) -> tuple[float, float, float, float]:
    """BLEU-1, -2, -3 and -4 of a set of captions that have been counted, each from 0 to 1.

    BLEU-N = BP · exp(1/N Σ ln p_n), n = 1..N, where p_n divides the n-grams found in the references by those in the
    hypotheses, both summed over all images; BP = min(1, exp(1 - r/c)), with c words in the hypotheses and r in the
    closest references. Not smoothed: no common n-gram, no score.

    Source: Papineni, Roukos, Ward and Zhu 2002, "BLEU: a method for automatic evaluation of machine translation".
    """
    from nltk.translate.bleu_score import brevity_penalty

    found, total, lengths, reference_lengths = zip(*counts, strict=True)
    penalty = brevity_penalty(sum(reference_lengths), sum(lengths))
    scores = []
    log_precisions = 0.0
    for n, matches, ngrams in zip(
        ORDERS, map(sum, zip(*found, strict=True)), map(sum, zip(*total, strict=True)), strict=True
    ):
        if not matches:
            break
        log_precisions += math.log(matches / ngrams)
        scores.append(penalty * math.exp(log_precisions / n))
    one, two, three, four = scores + [0.0] * (len(ORDERS) - len(scores))
    return one, two, three, four

"""BLEU-1 to BLEU-4 of a set of captions."""

import math
from collections.abc import Sequence

ORDERS = (1, 2, 3, 4)


def bleu(
    hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]
) -> tuple[float, float, float, float]:
    """BLEU-1, -2, -3 and -4 of the whole set, each from 0 to 1.

    BLEU-N = BP · exp(1/N Σ ln p_n), n = 1..N, where p_n divides the n-grams found in the references, each
    clipped to its count in the reference that has most of it, by those in the hypotheses, both summed over all
    images; BP = min(1, exp(1 - r/c)), with c words in the hypotheses and r in the references closest to them in
    length, the shorter of two as close. Not smoothed: no common n-gram, no score.

    `nltk.translate.bleu_score.corpus_bleu` is not used as a whole because it counts one n-gram in a hypothesis
    that is too short to have any.

    Source: Papineni, Roukos, Ward and Zhu 2002, "BLEU: a method for automatic evaluation of machine translation".
    """
    from nltk.translate.bleu_score import brevity_penalty, closest_ref_length, modified_precision

    penalty = brevity_penalty(
        sum(closest_ref_length(refs, len(words)) for words, refs in zip(hypotheses, references, strict=True)),
        sum(map(len, hypotheses)),
    )
    scores = []
    log_precisions = 0.0
    for n in ORDERS:
        precisions = [
            modified_precision(refs, words, n)
            for words, refs in zip(hypotheses, references, strict=True)
            if len(words) >= n
        ]
        found = sum(precision.numerator for precision in precisions)
        if not found:
            break
        log_precisions += math.log(found / sum(precision.denominator for precision in precisions))
        scores.append(penalty * math.exp(log_precisions / n))
    one, two, three, four = scores + [0.0] * (len(ORDERS) - len(scores))
    return one, two, three, four

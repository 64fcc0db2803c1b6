"""ROUGE-L of a set of captions."""

from collections.abc import Sequence

BETA = 1.2


def rouge_l(hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> float:
    """ROUGE-L, from 0 to 1, the mean over the images.

    F = (1 + β²) P R / (R + β² P) with β = 1.2, where P and R divide the length of the longest common
    subsequence of hypothesis and reference by the words of the hypothesis and of the reference. P and R are each
    the best over the references, be it in different ones, as the COCO caption evaluation has it.

    Source: Lin 2004, "ROUGE: a package for automatic evaluation of summaries", equations 2 to 4.
    """
    scores = [_f_score(words, refs) for words, refs in zip(hypotheses, references, strict=True)]
    return sum(scores) / len(scores)


def _f_score(hypothesis: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    common = [_longest_common_subsequence(hypothesis, reference) for reference in references]
    if not any(common):
        return 0.0
    precision = max(common) / len(hypothesis)
    recall = max(length / len(reference) for length, reference in zip(common, references, strict=True) if reference)
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def _longest_common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    # lengths[j]: that of the words of `one` so far and the first j words of `other`
    lengths = [0] * (len(other) + 1)
    for word in one:
        diagonal = 0
        for j, other_word in enumerate(other, start=1):
            above = lengths[j]
            lengths[j] = diagonal + 1 if word == other_word else max(above, lengths[j - 1])
            diagonal = above
    return lengths[-1]

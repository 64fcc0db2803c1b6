"""The result of a search, and the comparison of hypotheses of different lengths."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np


@dataclass(frozen=True)
class Hypothesis:
    """One caption that a search found.

    Attributes:
        tokens: the words' numbers, T of them, without the start and end tokens.
        log_prob: natural log-probability of all tokens, the end token's included if `finished`.
        score: `log_prob` normalised by length; higher is better.
        finished: whether the end token was produced; if not, the caption was cut at the greatest length.
        attention: (T, L), the attention that chose each of `tokens`; None for a model without. Not compared by `==`.
        token_log_probs: (T,), the natural log-probability of each of `tokens`; None where the search keeps none. Not
            compared by `==`.
    """

    tokens: tuple[int, ...]
    log_prob: float
    score: float
    finished: bool
    attention: np.ndarray | None = field(compare=False)
    token_log_probs: np.ndarray | None = field(default=None, compare=False)

    @property
    def length(self) -> int:
        """The number of tokens in `log_prob`, the end token counted if it was produced."""
        return len(self.tokens) + self.finished


def length_normalised(log_prob: float, length: int, length_penalty: float) -> float:
    """Return log_prob / length ** length_penalty, a simpler form of Wu et al. 2016 (GNMT), equation 14.

    `length` counts every token in `log_prob`, so the end token too when it was produced, and is at least 1. A penalty
    of 0 leaves the log-probability, which favours short captions; 1 gives the mean of a token.
    """
    return log_prob / length**length_penalty


def ranked(hypotheses: Iterable[Hypothesis], length_penalty: float) -> list[Hypothesis]:
    """Score hypotheses under `length_penalty` and return them best first, those that were cut behind all others.

    A sentence without its end is no sentence, and its log-probability lacks the price of ending. Of equals, the one
    that came first stays first.
    """
    scored = [replace(each, score=length_normalised(each.log_prob, each.length, length_penalty)) for each in hypotheses]
    return sorted(scored, key=lambda each: (not each.finished, -each.score))

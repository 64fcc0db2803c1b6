"""How well a language model predicts a text."""

import math
from collections.abc import Sequence

import numpy as np

BLOCK = 8192
"""Surprisals that are summed pairwise; these sums are then added in order, as NumPy sums float32 in float64."""


class RunningLikelihood:
    """The likelihood of a text that comes in pieces. Only sums are kept, and how the text was cut changes no figure.

    Attributes:
        characters: how many have been added.
    """

    def __init__(self) -> None:
        self.characters = 0
        self._sum = 0.0
        self._block = np.empty(BLOCK)

    def add(self, surprisals: np.ndarray | Sequence[float]) -> None:
        """Add the surprisals -ln p(character | all before it), (n,), in nats."""
        done = 0
        while done < len(surprisals):
            filled = self.characters % BLOCK
            some = surprisals[done : done + BLOCK - filled]
            self._block[filled : filled + len(some)] = some
            done += len(some)
            self.characters += len(some)
            if self.characters % BLOCK == 0:
                self._sum += float(self._block.sum())

    def scores(self) -> dict[str, float]:
        """Return the figures of what has been added so far, N >= 1 characters.

        Returns:
            `log_probability` of the whole text by the chain rule, `characters` N, `nats_per_char`, `bits_per_char`
            (nats / ln 2) and `perplexity` (e to the nats: among how many equally likely characters one would have to
            guess).
        """
        total = self._sum + float(self._block[: self.characters % BLOCK].sum())
        nats = total / self.characters
        return {
            "log_probability": -total,
            "characters": self.characters,
            "nats_per_char": nats,
            "bits_per_char": nats / math.log(2),
            "perplexity": math.exp(nats),
        }


def likelihood(surprisals: np.ndarray | Sequence[float]) -> dict[str, float]:
    """Sum up the surprisals -ln p(character | all before it) of the N >= 1 characters of a text, in nats.

    Returns:
        What `RunningLikelihood.scores` does.
    """
    running = RunningLikelihood()
    running.add(surprisals)
    return running.scores()

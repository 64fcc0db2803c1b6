"""The caption of a photo, with its other candidates."""

from dataclasses import dataclass

import numpy as np

from captioner.text import join_words


@dataclass(frozen=True, eq=False, repr=False)
class Candidate:
    """One caption of a photo; `str()` gives its text, `repr()` a line with text and score.

    Attributes:
        words: T words.
        score: log-probability / length ** length_penalty, natural logarithm; nearer to 0 is surer.
        attention: (T, L), where the model looked before each word: weights over the L places of the feature grid, row
            by row, which sum to 1.
    """

    words: tuple[str, ...]
    score: float
    attention: np.ndarray

    @property
    def text(self) -> str:
        """The words with spaces between, where their language has any."""
        return join_words(self.words)

    def __str__(self) -> str:
        """Return the text."""
        return self.text

    def __repr__(self) -> str:
        """Return one line without the attention, which would fill a notebook."""
        return f"{type(self).__name__}({self.text!r}, score={self.score:.2f})"


@dataclass(frozen=True, eq=False, repr=False)
class Caption(Candidate):
    """The best caption of a photo, with all that were asked for.

    Attributes:
        candidates: different captions, best first; the first of them is this one.
    """

    candidates: tuple[Candidate, ...]

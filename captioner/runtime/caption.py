"""The caption of a photo, with its other candidates."""

from dataclasses import dataclass, field
from typing import Self

import numpy as np

from captioner.model_files.calibration import GUESS, UNFAMILIAR
from captioner.text import join_words


@dataclass(frozen=True, eq=False, repr=False)
class Candidate:
    """One caption of a photo; `str()` gives its text, `repr()` a line with text and score.

    Attributes:
        words: T words.
        score: log-probability / length ** length_penalty, natural logarithm; closer to 0 is more likely.
        attention: (T, L), where the model looked before each word: weights over the L regions of the feature grid, row
            by row, which sum to 1.
        probabilities: (T,), that of each word after those before it.
        confidence: the share of its words with a meaning that somebody who saw the photo would use, from 0 to 1, as it
            was on dev at this score; None where the model has no table for it. It holds for familiar photos.
        certainty: the confidence in words, "sure", "probably" or "a guess"; "" if there is none.
    """

    words: tuple[str, ...]
    score: float
    attention: np.ndarray
    probabilities: np.ndarray | None = field(default=None, kw_only=True)
    confidence: float | None = field(default=None, kw_only=True)
    certainty: str = field(default="", kw_only=True)

    @property
    def text(self) -> str:
        """The words, joined by spaces if their language has any."""
        return join_words(self.words)

    def __str__(self) -> str:
        """Return the text."""
        return self.text

    def __repr__(self) -> str:
        """Return one line, without the attention, which would fill a screen."""
        return f"{type(self).__name__}({self.text!r}, score={self.score:.2f})"


@dataclass(frozen=True, eq=False, repr=False)
class Caption(Candidate):
    """The best caption of a photo, with all that were asked for.

    Attributes:
        candidates: different captions, best first; the first of them is this one.
        familiar: whether the photo is like those that the model learned from; None where the model cannot know. What is
            said of another is a guess, however sure.
        doubtful: whether the photo is unfamiliar, or the caption less sure than the lowest tenth of dev.
    """

    candidates: tuple[Candidate, ...]
    familiar: bool | None = None
    doubtful: bool = False

    def remark_on(self, candidate: Candidate) -> str:
        """Return what makes a candidate a guess: "a guess", "unlike its training photos", or "" for nothing."""
        if self.familiar is False:
            return UNFAMILIAR
        return GUESS if candidate.certainty == GUESS else ""

    def sure_enough(self, min_confidence: float) -> tuple[Candidate, ...]:
        """Return the candidates of at least this confidence; none where it is unknown, or the photo unfamiliar."""
        if self.familiar is False:
            return ()
        return tuple(
            each for each in self.candidates if each.confidence is not None and each.confidence >= min_confidence
        )

    def with_candidates(self, candidates: tuple[Candidate, ...]) -> Self:
        """Return the caption with some of its candidates, one at least, of which the first takes its place."""
        return type(self)(**vars(candidates[0]), candidates=candidates, familiar=self.familiar, doubtful=self.doubtful)

"""One step of a model as the searches see it, and the tokens that a search must not choose."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

ECHO_SIZE = 2
"""The `no_repeat_ngram_size` that also forbids "white and white"; characters, which recur more, have a larger size."""


class SpecialTokens(NamedTuple):
    """The tokens that a search treats unlike words.

    Attributes:
        start: the token fed first.
        end: the token that finishes a caption; it never comes first, since nobody wants an empty caption.
        banned: tokens never chosen, such as padding, start and unknown.
        begin: tokens that every caption begins with, whatever their probability and whatever a search else forbids.
    """

    start: int
    end: int
    banned: Sequence[int] = ()
    begin: Sequence[int] = ()


class Step(Protocol):
    """A model that is fed one token a slot and answers with the log-probabilities of the next.

    A slot is one partial caption of one image: B images have K slots each. What an image's slots share (its features)
    is closed over by the step; what each slot has of its own is in `state`, which the search reorders along K.
    """

    def __call__(
        self, tokens: np.ndarray, state: list[np.ndarray], /
    ) -> tuple[np.ndarray, list[np.ndarray], np.ndarray | None]:
        """Return (log_probs, state, attention); the search changes none of them.

        Args:
            tokens: (B, K) int32, the last token of each slot. Slots out of use are fed the end token, and what the step
                answers for them is ignored.
            state: arrays (B, K, ...), rows of those that the last call returned or that the search was given.

        Returns:
            log_probs: (B, K, V) float32, natural log-probabilities of the next token. The next call may overwrite it.
            state: the new state, arrays of the same shapes.
            attention: (B, K, L), the weights over the L locations that led to `log_probs`, or None for a model without.
                The next call may overwrite it.
        """
        ...


def count_images(state: Sequence[np.ndarray]) -> int:
    """Return B of an initial state, whose arrays must be (B, 1, ...).

    Raises:
        ValueError: there is no array, or one has another shape.
    """
    shapes = [np.shape(array) for array in state]
    if not shapes or any(len(shape) < 2 or shape[:2] != (shapes[0][0], 1) for shape in shapes):
        raise ValueError(f"`state` must be one or more arrays of shape (B, 1, ...), got shapes {shapes}")
    return int(shapes[0][0])


def allowed_log_probs(
    log_probs: np.ndarray,
    generated: np.ndarray,
    special: SpecialTokens,
    no_repeat_ngram_size: int = 0,
) -> np.ndarray:
    """Return a copy of `log_probs` (B, K, V) as rows (B*K, V), with -inf where a search must not go.

    The end token does not come first, and no token follows itself. A phrase that comes again ("a red shirt and a red
    shirt") is the commonest fault of a small captioner, and a word that comes again after one joining word ("a white
    and white dog") is another.

    Args:
        log_probs: those of the next token.
        generated: (B, K, T), the tokens of each slot so far, T of them.
        special: the tokens never chosen, and those that must come first.
        no_repeat_ngram_size: so many tokens in a row that stand in `generated` must not come again (Paulus et al. 2018,
            section 2.5, for trigrams); 0 lets them. At `ECHO_SIZE`, a token must not come again after one more
            frequent token either; a vocabulary counts up from its most frequent word.
    """
    rows = np.array(log_probs).reshape(-1, np.shape(log_probs)[-1])  # (B*K, V)
    n, T = no_repeat_ngram_size, generated.shape[2]
    generated = generated.reshape(len(rows), T)
    if len(special.begin) > T:
        others = np.arange(rows.shape[1]) != special.begin[T]
        rows[:, others] = -np.inf
        return rows
    if len(special.banned):
        rows[:, list(special.banned)] = -np.inf
    if T:
        rows[np.arange(len(rows)), generated[:, -1]] = -np.inf
    else:
        rows[:, special.end] = -np.inf
    if 1 <= n <= T:
        begun = np.ones((len(rows), T - n + 1), bool)  # where the n - 1 last tokens also stood before, and went on
        for place in range(n - 1):
            begun &= generated[:, place : T - n + 1 + place] == generated[:, T - n + 1 + place, None]
        row, first = np.nonzero(begun)
        rows[row, generated[row, first + n - 1]] = -np.inf
    if n == ECHO_SIZE <= T:
        echoing = np.flatnonzero(generated[:, -1] < generated[:, -2])
        rows[echoing, generated[echoing, -2]] = -np.inf
    return rows


def check_best(best: np.ndarray, alive: np.ndarray) -> None:
    """Check the greatest log-probability of each slot in use; NumPy's argmax finds a NaN wherever one is.

    Raises:
        ValueError: one of them is NaN or +inf.
    """
    if not np.all((best < np.inf) | ~alive):
        raise ValueError(
            "the step returned log-probabilities that are NaN or +inf, expected numbers below +inf: the model has "
            "diverged (NaN in its weights) or its input is not finite"
        )

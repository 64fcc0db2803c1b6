"""What follows the same last characters elsewhere in a text, as targets beside the character that came."""

from collections.abc import Callable

import numpy as np

from captioner.errors import CaptionerError

ORDER = 9
"""Characters of the longest context."""

BLOCKS = 12
"""Parts of the text, each of which is predicted from those that are not its neighbours. In tiny Shakespeare a part is
about as long as a play."""

SHORTER = 16.0
"""How much the shorter context counts, in counts for each character that has followed the longer one. The usual 1 is
for new text from the same pages; these contexts come from other ones."""

MOST_PROBABILITIES = 1 << 28
"""Probabilities that are held, N times V, which take 2.5 GB at most while they are made and 0.5 GB later. A longer text
needs no such targets, since a network does not learn it by heart."""


def check_length(characters: int, vocabulary_size: int) -> None:
    """Check that a text of N characters is short enough.

    Raises:
        CaptionerError: it is too long.
    """
    if characters * vocabulary_size > MOST_PROBABILITIES:
        raise CaptionerError(
            f"--ngram-share: for texts of up to {MOST_PROBABILITIES // vocabulary_size:,} characters, if "
            f"{vocabulary_size} are different, found {characters:,}; leave it out, since a longer text is hardly "
            "learned by heart"
        )


def ngram_probabilities(
    tokens: np.ndarray,
    vocabulary_size: int,
    order: int = ORDER,
    blocks: int = BLOCKS,
    done: Callable[[int], object] = lambda blocks: None,
) -> np.ndarray:
    """Return p(v | the characters before) of all V characters at all N places of a text, float16 (N, V).

    The contexts of k = 0 to `order` characters are interpolated (Witten & Bell 1991; Chen & Goodman 1998, section 2.6):

        p_k(v) = (c_k(v) + SHORTER d_k p_{k-1}(v)) / (sum_v c_k(v) + SHORTER d_k),  p_{-1}(v) = 1 / V

    where c_k(v) is how often v follows these k characters, and d_k how many different v do. Counts come from the blocks
    that are neither that of the place nor its neighbours. So a page is predicted as a page of a new text would be, with
    what its own names and phrases are left out.

    Args:
        tokens: the text, int (N,).
        vocabulary_size: V.
        order: the longest context.
        blocks: parts of the text.
        done: called with 1 after each block of each order.
    """
    tokens = tokens.astype(np.int64)
    block_of = np.arange(len(tokens)) * blocks // len(tokens)  # (N,)
    found = np.full((len(tokens), vocabulary_size), 1 / vocabulary_size, np.float32)
    contexts = np.zeros(len(tokens), np.int64)  # the number of each place's last k characters, (N,)
    for k in range(order + 1):
        if k:
            contexts = _longer(contexts, tokens, vocabulary_size)
        counts = np.zeros((contexts.max() + 1, vocabulary_size), np.float32)
        np.add.at(counts, (contexts, tokens), 1)
        for block in range(blocks):
            own = np.flatnonzero(block_of == block)
            near = np.flatnonzero(abs(block_of - block) <= 1)
            np.subtract.at(counts, (contexts[near], tokens[near]), 1)
            found[own] = _interpolated(counts[contexts[own]], found[own])
            np.add.at(counts, (contexts[near], tokens[near]), 1)
            done(1)
    return found.astype(np.float16)


def _longer(contexts: np.ndarray, tokens: np.ndarray, vocabulary_size: int) -> np.ndarray:
    """Number contexts that are a character longer: that of the place before, and the character there."""
    pairs = np.full(len(tokens), -1, np.int64)  # nothing stands before the first character
    pairs[1:] = contexts[:-1] * vocabulary_size + tokens[:-1]
    return np.unique(pairs, return_inverse=True)[1]


def _interpolated(counts: np.ndarray, shorter: np.ndarray) -> np.ndarray:
    """Return p_k from c_k (N, V) and p_{k-1} (N, V); where nothing followed, that is p_{k-1}."""
    weight = SHORTER * np.count_nonzero(counts, axis=1, keepdims=True)  # (N, 1)
    total = counts.sum(axis=1, keepdims=True) + weight  # (N, 1)
    return np.where(total > 0, (counts + weight * shorter) / np.maximum(total, 1), shorter)

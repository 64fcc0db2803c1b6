"""A cache model of the text so far: the characters that followed its last ones before, as a smoothed distribution."""

import numpy as np

LONGEST_CONTEXT = 6
"""Characters before the next one by which earlier places in the text are found."""

DISCOUNT = 0.8
"""What is taken from each count, and goes to the characters that followed a shorter context."""

MOST_CONTEXTS = 1 << 18
"""Contexts that are kept. In the worst case they take some 60 MB, whatever the length of the text."""

Context = int | tuple[int, dict[int, int]]
"""What followed some characters: how often in all, and each token how often. An int is a token that followed once."""


class NgramCache:
    """A predictor of the next token from what followed the same tokens earlier in the text.

    It is a cache (Kuhn and De Mori 1990) of n-grams. Let n_k(c) be how often c followed the last k tokens, n_k the sum
    of these counts, t_k the number of different c, V the tokens in all, and d the discount. The distributions are
    interpolated from the shortest context to the longest:

        p_k(c) = (max(n_k(c) - d, 0) + d t_k p_{k-1}(c)) / n_k,    p_{-1}(c) = 1 / V

    This is Kneser-Ney smoothing (Kneser and Ney 1995). As there, a shorter context counts a token once for each longer
    one in which it was new: `learn` counts from the longest context down to the first that knew the token.

    Memory is bounded. Contexts lie in two halves, and move to the newer one when they are met. When it is full, the
    older half is dropped, which holds what was not met for the longest.

    Sources: Kuhn and De Mori, A cache-based natural language model for speech recognition, PAMI 12 (1990). Kneser and
    Ney, Improved backing-off for m-gram language modeling, ICASSP 1995. Teh, A hierarchical Bayesian language model
    based on Pitman-Yor processes, ACL 2006, derives the rule for counting.

    Args:
        vocabulary_size: V.
        longest_context: the largest k.
        most_contexts: that are kept.
    """

    def __init__(
        self, vocabulary_size: int, longest_context: int = LONGEST_CONTEXT, most_contexts: int = MOST_CONTEXTS
    ) -> None:
        self._size = vocabulary_size
        self._longest = longest_context
        self._half = most_contexts // 2
        self._newer: dict[int, Context] = {}
        self._older: dict[int, Context] = {}
        self._keys = [0]  # of the last 0, 1, ... tokens: their numbers + 1 as digits to the base V + 1
        self._found: list[Context] | None = None  # contexts of the next token that were met before, shortest first

    def __len__(self) -> int:
        """Count the contexts that are kept."""
        return len(self._newer) + len(self._older)

    def predict(self) -> tuple[np.ndarray, int]:
        """Return the probabilities (V,) of the next token, float64, and how many of its contexts were met before.

        The contexts are the last 0, 1, ... tokens, so that the number is from 0 to `longest_context` + 1.
        """
        found = self._contexts()
        probabilities = [0.0] * self._size  # in Python, since most contexts have one or two tokens
        left = 1.0  # for shorter contexts
        for context in reversed(found):
            if isinstance(context, int):
                probabilities[context] += left * (1 - DISCOUNT)
                left *= DISCOUNT
            else:
                total, counts = context
                each = left / total
                for token, count in counts.items():
                    probabilities[token] += each * (count - DISCOUNT)
                left *= DISCOUNT * len(counts) / total
        return np.array(probabilities) + left / self._size, len(found)

    def learn(self, token: int) -> None:
        """Read the token that came."""
        found = self._contexts()
        for key in self._keys[len(found) :]:
            self._newer[key] = token
        for key, context in zip(reversed(self._keys[: len(found)]), reversed(found), strict=True):
            if isinstance(context, int):
                self._newer[key] = (2, {token: 2} if context == token else {context: 1, token: 1})
                if context == token:
                    break
            else:
                total, counts = context
                known = counts.get(token, 0)
                counts[token] = known + 1
                self._newer[key] = (total + 1, counts)
                if known:
                    break
        base = self._size + 1
        self._keys = [0, *(key * base + token + 1 for key in self._keys[: self._longest])]
        self._found = None
        if len(self._newer) > self._half:
            self._newer, self._older = {}, self._newer

    def _contexts(self) -> list[Context]:
        """Find what followed the last 0, 1, ... tokens, up to the first context that is new.

        A context is met whenever a longer one is, so none is kept without those at its end.
        """
        if self._found is None:
            self._found = []
            for key in self._keys:
                context = self._newer.get(key)
                if context is None:
                    context = self._older.pop(key, None)
                    if context is None:
                        break
                    self._newer[key] = context
                self._found.append(context)
        return self._found

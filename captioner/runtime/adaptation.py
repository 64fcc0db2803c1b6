"""A network's predictions mixed with those of the text read so far, by weights that are learned while reading."""

import math

import numpy as np

from captioner.runtime.ngram_cache import LONGEST_CONTEXT, NgramCache

FIRST_WEIGHTS = (0.8, 0.2)
"""Of the network and of the cache, before anything was read."""

STEP = 0.06
"""The size of the first step of the weights; the t-th is STEP / sqrt(t)."""

LARGEST_WEIGHT = 4.0
"""Weights stay between 0 and this, since the steps are proven for a bounded set."""


class Adaptation:
    """A mixture of a network's distribution and that of an `NgramCache` of the text read so far.

    The mixture is geometric, q(c) = network(c)^u cache(c)^v / Z. There is a pair of weights u, v for each number of
    last characters that the text has shown before. After each character its pair takes a step down the gradient of
    the surprisal -ln q(c), which is convex in u and v:

        u += STEP / sqrt(t) (ln network(c) - sum over all c' of q(c') ln network(c')),    v likewise

    Nothing that is learned outlives the object: make one for each text.

    Sources: Mattern, Linear and geometric mixtures: analysis, DCC 2013, for the mixture and its gradient; Zinkevich,
    Online convex programming and generalized infinitesimal gradient ascent, ICML 2003, for the steps.

    Args:
        vocabulary_size: the number of tokens V.
    """

    def __init__(self, vocabulary_size: int) -> None:
        self._cache = NgramCache(vocabulary_size)
        self._weights = [FIRST_WEIGHTS] * (LONGEST_CONTEXT + 2)
        self._steps = [0] * len(self._weights)

    def surprisals(self, log_probs: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Read the next T tokens (T,), and return -ln q of each, float32 (T,).

        Each is predicted from what came before it, and learned from only then.

        Args:
            log_probs: what the network expected, (T, V).
            tokens: what came.
        """
        surprisals = np.empty(len(tokens), np.float32)
        for place, (network, token) in enumerate(zip(log_probs.astype(np.float64), tokens.tolist(), strict=True)):
            surprisals[place] = -self.predict(network)[token]
            self.learn(token)
        return surprisals

    def predict(self, network: np.ndarray) -> np.ndarray:
        """Return ln q of each token (V,), given the network's log-probabilities (V,), both float64."""
        probabilities, met = self._cache.predict()
        cache = np.log(probabilities)
        u, v = self._weights[met]
        mixed = u * network + v * cache
        mixed -= mixed.max()
        q = np.exp(mixed)
        total = float(q.sum())
        self._last = met, network, cache, q / total
        return mixed - math.log(total)

    def learn(self, token: int) -> None:
        """Read the token that came, after `predict`."""
        met, network, cache, q = self._last
        self._steps[met] += 1
        step = STEP / math.sqrt(self._steps[met])
        u, v = self._weights[met]
        u += step * float(network[token] - q @ network)
        v += step * float(cache[token] - q @ cache)
        self._weights[met] = min(max(u, 0.0), LARGEST_WEIGHT), min(max(v, 0.0), LARGEST_WEIGHT)
        self._cache.learn(token)

"""The most probable continuations up to one of some tokens: a search in order of probability."""

import heapq
from collections.abc import Callable, Collection
from typing import NamedTuple

import numpy as np

States = list[np.ndarray]
Predict = Callable[[int, States], tuple[np.ndarray, States]]
"""A token and the states before it -> log-probabilities (V,) of the next token, and the states after it."""

MOST_PREFIXES = 20_000
"""Beginnings that are followed at most, about 4 seconds of a small network: an untrained one knows no end."""


class Completion(NamedTuple):
    """Tokens, of which the last is one of those that end, and the log-probability of all together."""

    tokens: tuple[int, ...]
    log_prob: float


class _Prefix(NamedTuple):
    """A beginning, and its next tokens with the log-probabilities of beginning and token, likeliest first."""

    tokens: tuple[int, ...]
    states: States
    order: np.ndarray
    log_probs: np.ndarray


def completions(
    predict: Predict, log_probs: np.ndarray, states: States, ends: Collection[int], count: int
) -> list[Completion]:
    """Find the `count` most probable completions, best first.

    A longer sequence is never more probable than its beginning, so beginnings are followed in the order of their
    probability and the first completions to turn up are the best (uniform-cost search, Dijkstra 1959). Of a
    beginning's continuations only the next best waits in line, so that a large vocabulary costs no memory.

    Args:
        predict: one step of the model.
        log_probs: (V,) of the first token; -inf bans one.
        states: those after the prompt.
        ends: tokens that complete.
        count: completions wanted.

    Returns:
        fewer than `count` where MOST_PREFIXES were followed before, or no others exist.
    """
    found: list[Completion] = []
    line: list[tuple[float, int, int, _Prefix]] = []  # the numbers decide between equals, arrays cannot be compared
    followed = 0

    def wait(number: int, rank: int, prefix: _Prefix) -> None:
        if rank < len(prefix.order) and np.isfinite(prefix.log_probs[rank]):
            heapq.heappush(line, (-float(prefix.log_probs[rank]), number, rank, prefix))

    def follow(tokens: tuple[int, ...], so_far: float, log_probs: np.ndarray, states: States) -> None:
        order = np.argsort(-log_probs, kind="stable")
        wait(followed, 0, _Prefix(tokens, states, order, so_far + log_probs[order].astype(np.float64)))

    follow((), 0.0, log_probs, states)
    while line and len(found) < count and followed < MOST_PREFIXES:
        negative, number, rank, prefix = heapq.heappop(line)
        wait(number, rank + 1, prefix)
        token = int(prefix.order[rank])
        tokens = (*prefix.tokens, token)
        if token in ends:
            found.append(Completion(tokens, -negative))
        else:
            followed += 1
            follow(tokens, -negative, *predict(token, prefix.states))
    return found

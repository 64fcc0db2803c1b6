from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise, product
from types import SimpleNamespace

import numpy as np
import pytest

from captioner.config.decoding import DecodingConfig
from captioner.decoding import beam
from captioner.decoding.hypothesis import Hypothesis, length_normalised
from captioner.decoding.step import SpecialTokens, allowed_log_probs

END, START = 0, 1


def frozen(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array


def says_twice(said: Sequence[int], n: int) -> bool:
    """Whether a caption breaks the rule of `no_repeat_ngram_size` = `n`.

    That is, some `n` tokens in a row stand in it twice, or, where `n` is 2, a token does on both sides of a lower one.
    """
    phrases = [tuple(said[at : at + n]) for at in range(len(said) - n + 1)] if n else []
    echoes = n == 2 and any(a == c and b < a for a, b, c in zip(said, said[1:], said[2:], strict=False))
    return echoes or len(set(phrases)) < len(phrases)


class RandomStep:
    """A made-up model whose answer depends on all tokens fed so far, and on the image, through its state alone.

    `memory` holds a seed for each image. The state is the tokens fed to each slot, and how many they are.
    """

    vocabulary, locations, longest = 4, 3, 8

    def __init__(self, memory: Sequence[int]) -> None:
        self.memory = memory

    def initial_state(self) -> list[np.ndarray]:
        B = len(self.memory)
        return [frozen(np.zeros((B, 1, self.longest), np.int64)), frozen(np.zeros((B, 1), np.int64))]

    @staticmethod
    @cache
    def answer(seed: int, fed: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        draw = np.random.default_rng([seed, len(fed), *fed])
        return (
            np.log(draw.dirichlet(np.ones(RandomStep.vocabulary))).astype(np.float32),
            draw.dirichlet(np.ones(RandomStep.locations)).astype(np.float32),
        )

    def __call__(self, tokens, state):
        history, count = (array.copy() for array in state)
        log_probs = np.zeros((*tokens.shape, self.vocabulary), np.float32)
        attention = np.zeros((*tokens.shape, self.locations), np.float32)
        for b, k in product(range(tokens.shape[0]), range(tokens.shape[1])):
            history[b, k, count[b, k]] = tokens[b, k]
            count[b, k] += 1
            fed = tuple(history[b, k, : count[b, k]].tolist())
            log_probs[b, k], attention[b, k] = self.answer(self.memory[b], fed)
        return frozen(log_probs), [frozen(history), frozen(count)], frozen(attention)


class TableStep:
    """A made-up model that looks up the probabilities of the next token by the last one; no attention."""

    def __init__(self, probabilities: Sequence[Sequence[float]]) -> None:
        with np.errstate(divide="ignore"):
            self.log_probs = np.log(np.array(probabilities, np.float32))
        self.fed: list[list[list[int]]] = []

    def __call__(self, tokens, state):
        self.fed.append(tokens.tolist())
        return frozen(self.log_probs[tokens]), state, None


def search_by_beam(step, state, *, banned=(), begin=(), start=START, **settings) -> list[list[Hypothesis]]:
    """Search with settings by name; length penalty and phrases that come again are left out unless given."""
    decoding = DecodingConfig(**{"length_penalty": 0.0, "no_repeat_ngram_size": 0, **settings})
    return beam.beam_search(step, state, SpecialTokens(start, END, banned, begin), decoding)


def search_greedily(
    step, state, *, max_length, banned=(), no_repeat_ngram_size=0, length_penalty=0.0
) -> list[Hypothesis]:
    """Take the likeliest token, again and again; of equals, the lowest number."""
    said = np.full((len(state[0]), 1, 1), START, np.int32)  # (B, 1, T), behind an end only ends
    log_prob, ended, attended = np.zeros(len(said)), np.zeros(len(said), bool), []
    while said.shape[2] <= max_length and not ended.all():
        log_probs, state, attention = step(said[:, :, -1], state)
        rows = allowed_log_probs(
            log_probs, said[:, :, 1:], SpecialTokens(START, END, banned), no_repeat_ngram_size
        )  # (B, V)
        best = np.where(ended, END, rows.argmax(axis=1)).astype(np.int32)
        log_prob += np.where(ended, 0, rows.max(axis=1))
        ended |= best == END
        said = np.concatenate([said, best[:, None, None]], axis=2)
        attended.append(attention)
    found = []
    for image, tokens in enumerate(said[:, 0, 1:].tolist()):
        words = tuple(tokens[: tokens.index(END)] if ended[image] else tokens)
        score = length_normalised(log_prob[image], len(words) + ended[image], length_penalty)
        weights = None if attended[0] is None else np.stack([each[image, 0] for each in attended])[: len(words)]
        found.append(Hypothesis(words, log_prob[image], score, bool(ended[image]), weights))
    return found


@pytest.fixture(scope="module")
def beam_search() -> Callable[..., list[list[Hypothesis]]]:
    return search_by_beam


@pytest.fixture(scope="module")
def greedy_search() -> Callable[..., list[Hypothesis]]:
    return search_greedily


@pytest.fixture
def random_step() -> type[RandomStep]:
    return RandomStep


@pytest.fixture(scope="module")
def any_random_step() -> type[RandomStep]:
    """The same for tests that are called many times."""
    return RandomStep


@pytest.fixture
def table_step() -> type[TableStep]:
    return TableStep


@pytest.fixture
def reusing() -> Callable[[RandomStep], Callable]:
    """Wrap a step so that each call overwrites the log-probabilities and attention that the last one returned."""

    def wrap(step):
        kept = {}

        def overwriting(tokens, state):
            log_probs, state, attention = step(tokens, state)
            for name, array in (("log_probs", log_probs), ("attention", attention)):
                kept.setdefault(name, np.empty_like(array))[:] = array
            return kept["log_probs"], state, kept["attention"]

        return overwriting

    return wrap


@pytest.fixture
def stateless() -> Callable[[int], list[np.ndarray]]:
    """The initial state of a model without one."""
    return lambda B: [frozen(np.zeros((B, 1, 0)))]


@pytest.fixture(name="says_twice")
def finder_of_repeats() -> Callable[[Sequence[int], int], bool]:
    return says_twice


@pytest.fixture
def exhaustive() -> Callable[..., list[SimpleNamespace]]:
    """Every caption that RandomStep can say about the image with this seed, best first."""

    def search(seed, *, max_length, length_penalty, banned=(), no_repeat_ngram_size=0):
        found = {}
        for letters in product(range(RandomStep.vocabulary), repeat=max_length):
            said = letters[: letters.index(END) + 1] if END in letters else letters
            repeats = any(a == b for a, b in pairwise(said))
            if said[0] == END or set(said) & set(banned) or repeats or says_twice(said, no_repeat_ngram_size):
                continue
            answers = [RandomStep.answer(seed, (START, *said[:t])) for t in range(len(said))]
            log_prob = sum(float(log_probs[token]) for token, (log_probs, _) in zip(said, answers, strict=True))
            finished = said[-1] == END
            words = said[:-1] if finished else said
            found[said] = SimpleNamespace(
                tokens=words,
                log_prob=log_prob,
                score=log_prob / len(said) ** length_penalty,
                finished=finished,
                attention=np.stack([attention for _, attention in answers])[: len(words)],
            )
        return sorted(found.values(), key=lambda caption: (not caption.finished, -caption.score))

    return search

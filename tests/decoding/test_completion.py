from itertools import pairwise, product

import numpy as np
import pytest

from captioner.decoding import completion as completion_module
from captioner.decoding.completion import completions

SPACE, LINE = 0, 1
V = 5


class Bigrams:
    """A model whose next token depends on the last and on how many there were; its state is that number."""

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        self.table = rng.dirichlet(np.full(V, 0.7), size=(4, V))
        self.calls = 0

    def __call__(self, token, states):
        self.calls += 1
        (count,) = states
        return np.log(self.table[count % 4, token]), [count + 1]

    def log_prob(self, tokens, first):
        total, states = first[tokens[0]], [0]
        for before, token in pairwise(tokens):
            log_probs, states = self(before, states)
            total += log_probs[token]
        return total


FIRST = np.log(np.array([0.1, 0.05, 0.35, 0.3, 0.2]))


def brute_force(model, ends, longest):
    inner = [token for token in range(V) if token not in ends]
    found = [(*body, end) for length in range(longest) for body in product(inner, repeat=length) for end in ends]
    return sorted(((model.log_prob(tokens, FIRST), tokens) for tokens in found), reverse=True)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("ends", [(SPACE,), (SPACE, LINE)])
def test_it_finds_what_trying_everything_finds(seed, ends):
    model = Bigrams(seed)
    expected = brute_force(model, ends, longest=8)
    found = completions(model, FIRST, [0], ends, 12)
    # Nothing longer than was tried could be as likely.
    assert max(len(each.tokens) for each in found) < 8
    assert [each.tokens for each in found] == [tokens for _, tokens in expected[:12]]
    np.testing.assert_allclose([each.log_prob for each in found], [log_prob for log_prob, _ in expected[:12]])


def test_it_looks_no_further_than_it_must():
    model = Bigrams()
    best = completions(model, FIRST, [0], (SPACE, LINE), 1)[0]
    # Only beginnings likelier than the best completion were followed.
    likelier = [tokens for n in (1, 2, 3, 4, 5, 6, 7) for tokens in product(range(2, V), repeat=n)]
    counting = Bigrams()
    assert model.calls == sum(counting.log_prob(tokens, FIRST) > best.log_prob for tokens in likelier)


def test_banned_tokens_do_not_occur():
    first = FIRST.copy()
    first[2] = -np.inf
    found = completions(Bigrams(), first, [0], (SPACE,), 30)
    assert len(found) == 30
    assert all(each.tokens[0] != 2 for each in found)


def test_when_nothing_is_left_there_are_fewer():
    def then(*tokens):
        return np.log(np.isin(range(V), tokens) / len(tokens), out=np.full(V, -np.inf), where=np.isin(range(V), tokens))

    def predict(token, states):
        return then({2: 3, 3: 4, 4: SPACE}[token]), states

    found = completions(predict, then(2, SPACE), [], (SPACE,), 5)
    assert {each.tokens: each.log_prob for each in found} == {(SPACE,): np.log(0.5), (2, 3, 4, SPACE): np.log(0.5)}


def test_a_model_that_knows_no_end_is_given_up(monkeypatch):
    monkeypatch.setattr(completion_module, "MOST_PREFIXES", 50)
    endless = np.log(np.array([1e-12, 1e-12, 0.4, 0.3, 0.3]))
    calls = []

    def predict(token, states):
        calls.append(token)
        return endless, states

    assert completions(predict, endless, [], (SPACE,), 3) == []
    assert len(calls) == 50

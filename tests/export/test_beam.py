import functools
import math

import numpy as np
import pytest
import tensorflow as tf

from captioner.config.decoding import DecodingConfig
from captioner.decoding import beam as numpy_beam
from captioner.decoding.captions import generate
from captioner.decoding.step import SpecialTokens
from captioner.decoding.wording import SPECIAL
from captioner.export.beam import Search, beam_search

END, START, A, B, C = range(5)
CELLS = ["rnn", "gru", "lstm"]


def spoken(found, image=0):
    """Captions of an image with their scores, as the tests of `decoding.beam` have them."""
    rows = zip(found.tokens[image].numpy(), found.lengths[image].numpy(), found.scores[image].numpy(), strict=True)
    return [(tuple(tokens[:length].tolist()), score) for tokens, length, score in rows]


@functools.cache
def graph(size):
    """The graph of a search over models of so many tokens; another table is no other graph."""

    @tf.function(autograph=False, reduce_retracing=True)
    def run(table, images, width, penalty, longest, number, size):
        def step(tokens, states):
            return tf.gather(table, tokens), states, tf.one_hot(tokens, table.shape[0])

        return beam_search(
            step,
            [tf.zeros((images, 1, 2))],
            SpecialTokens(START, END, (START,)),
            Search(width, tf.cast(penalty, tf.float64), longest, size, number),
        )

    return run


def by_table(probabilities):
    """A graph search over a model that looks up the next token's probabilities by the last; it attends to the token."""
    with np.errstate(divide="ignore"):
        log_probs = np.log(np.array(probabilities, np.float32))

    def search(width, longest, penalty=0.0, images=1, number=None, size=0):
        values = (log_probs, images, width, float(penalty), longest, number or width, size)
        return graph(len(log_probs))(*(tf.constant(value) for value in values))

    return search


def in_numpy(probabilities, width, longest, penalty=0.0, images=1, size=0):
    with np.errstate(divide="ignore"):
        log_probs = np.log(np.array(probabilities, np.float32))

    def step(tokens, states):
        return log_probs[tokens], states, np.eye(len(log_probs), dtype=np.float32)[tokens]

    return numpy_beam.beam_search(
        step,
        [np.zeros((images, 1, 2))],
        SpecialTokens(START, END, (START,)),
        DecodingConfig(width, penalty, longest, size),
    )


def assert_same(found, beams, number, atol):
    """Compare captions in graph form with hypotheses, best first."""
    for image, beam in enumerate(beams):
        for n, (tokens, score) in enumerate(spoken(found, image)):
            if n >= len(beam):
                assert (tokens, score, found.log_probs[image, n]) == ((), -math.inf, -math.inf)
                assert not found.finished[image, n]
                continue
            assert tokens == beam[n].tokens, (image, n)
            assert score == pytest.approx(beam[n].score, abs=atol)
            assert found.log_probs[image, n].numpy() == pytest.approx(beam[n].log_prob, abs=len(tokens) * atol + atol)
            assert found.finished[image, n].numpy() == beam[n].finished
            length = len(tokens)
            np.testing.assert_allclose(found.attention[image, n, :length], beam[n].attention, atol=atol)
            assert not found.attention[image, n, length:].numpy().any()
            assert not found.tokens[image, n, length:].numpy().any()
        assert found.tokens.shape[1] == number


def test_beam_shrinks_as_captions_finish_by_hand():
    # "a" takes one of two places at the second step, so that only the better of b's two extensions goes on.
    table = [[1, 0, 0, 0, 0], [0, 0, 0.6, 0.4, 0], [0.9, 0, 0, 0, 0.1], [0, 0, 0.3, 0, 0.7], [1, 0, 0, 0, 0]]
    (short, first), (long, second) = spoken(by_table(table)(2, 5))
    assert (short, long) == ((A,), (B, C))
    assert (math.exp(first), math.exp(second)) == (pytest.approx(0.54), pytest.approx(0.28))


def test_a_cut_caption_never_beats_a_finished_one_by_hand():
    found = by_table([[1, 0, 0, 0], [0, 0, 1, 0], [0.1, 0, 0, 0.9], [0, 0, 1, 0]])(2, 3, penalty=1.0)
    (short, finished), (long, cut) = spoken(found)
    assert (short, long) == ((A,), (A, B, A))
    assert (finished, cut) == (pytest.approx(math.log(0.1) / 2), pytest.approx(math.log(0.9) / 3))
    assert cut > finished
    assert found.attention[0, 1].numpy().argmax(axis=-1).tolist() == [START, A, B]


def test_of_equals_the_lowest_number():
    found = by_table([[0, 0.2, 0.2, 0.2, 0.2, 0.2]] * 6)(5, 2)
    assert [tokens for tokens, _ in spoken(found)] == [(A, B), (A, C), (A, 5), (B, A), (B, C)]


@pytest.mark.parametrize("size", [4, 6])
def test_tables_full_of_ties_give_what_numpy_finds(size):
    draw = np.random.default_rng(size)
    for _ in range(12):
        counts = draw.integers(0, 3, (size, size)) + np.eye(size, dtype=int)[END]  # each token may end
        counts[START, A] += 1  # as no caption may at once
        table = counts / counts.sum(axis=1, keepdims=True)
        search = by_table(table)
        for width, longest, penalty in [(1, 4, 0.0), (2, 6, 0.7), (3, 5, 2.0), (9, 3, 1.0)]:
            for repeats in (0, 1, 2, 3, 50):
                options = {"images": 2, "size": repeats}
                found = search(width, longest, penalty, **options)
                assert_same(found, in_numpy(table, width, longest, penalty, **options), width, 1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_networks_give_what_numpy_finds(network, cell):
    features = np.random.default_rng(12).normal(size=(5, 4, 6)).astype(np.float32)
    scalars = (tf.TensorSpec((), kind) for kind in (tf.int32, tf.float64, tf.int32, tf.int32))
    model = network(cell)

    @tf.function(input_signature=[tf.TensorSpec((None, 4, 6)), *scalars], autograph=False)
    def search(features, width, penalty, longest, size):
        step, states = model.begin(features)
        return beam_search(step, states, SPECIAL, Search(width, penalty, longest, size, width))

    cut = finished = 0
    for seed in range(3):
        model.set_weights(network(cell, seed).get_weights())
        for how in [(1, 0.7, 6, 0), (3, 0.0, 6, 2), (4, 0.7, 9, 0), (4, 0.7, 9, 1), (20, 1.5, 4, 2)]:
            beams = generate(model, features, DecodingConfig(*how))
            assert_same(search(features, *how), beams, how[0], 2e-5)
            finished += sum(each.finished for beam in beams for each in beam)
            cut += sum(not each.finished for beam in beams for each in beam)
        assert search(features[:0], 3, 0.7, 6, 2).tokens.shape == (0, 3, 0)
    assert min(cut, finished) > 10


def test_the_search_stops_when_nothing_is_alive():
    table = np.log(np.float32([[1, 1e-9, 1e-9], [1e-9, 1e-9, 1], [1, 1e-9, 1e-9]]))
    steps = tf.Variable(0)

    def step(tokens, states):
        steps.assign_add(1)
        return tf.gather(table, tokens), states, tf.zeros((*tf.unstack(tf.shape(tokens)), 1))

    @tf.function(autograph=False)
    def search(images, width):
        return beam_search(
            step,
            [tf.zeros((images, 1, 2))],
            SpecialTokens(1, 0),
            Search(width, tf.constant(0.0, tf.float64), 50, 0, 1),
        )

    found = search(tf.constant(3), tf.constant(1))
    assert [spoken(found, image)[0][0] for image in range(3)] == [(2,)] * 3
    assert steps.numpy() == 2


def test_fewer_captions_than_asked_for():
    found = by_table([[1, 0, 0], [0, 0, 1], [1, 0, 0]])(7, 3)
    assert spoken(found) == [((A,), 0.0), *[((), -math.inf)] * 6]
    assert found.tokens.shape == (1, 7, 1)


def test_no_caption_is_empty():
    assert spoken(by_table([[1, 0, 0], [0.9, 0, 0.1], [1, 0, 0]])(1, 3)) == [((A,), pytest.approx(math.log(0.1)))]


def test_only_the_best_are_returned():
    table = [[1, 0, 0, 0], [0.3, 0, 0.7, 0], [0.25, 0, 0.25, 0.5], [0.8, 0, 0.2, 0]]
    search = by_table(table)
    assert spoken(search(3, 4, number=2)) == spoken(search(3, 4))[:2]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_model_that_diverged_is_named(bad):
    search = by_table([[1, 0, 0, 0], [0.5, 0, 0.5, 0], [0.5, 0, 0, bad], [1, 0, 0, 0]])
    with pytest.raises(tf.errors.InvalidArgumentError, match="it has diverged"):
        search(2, 3)


def test_captions_that_can_neither_go_on_nor_end_are_named():
    with pytest.raises(tf.errors.InvalidArgumentError, match="can neither go on nor end"):
        by_table([[0, 1, 0], [0, 0, 1], [0, 1, 0]])(2, 4)

from dataclasses import replace

import numpy as np
import pytest

from captioner.config.decoding import DecodingConfig
from captioner.config.model import DecoderConfig
from captioner.decoding.captions import generate
from captioner.models.captioner import CaptionModel
from captioner.runtime.decoder import DecoderNetwork, weight_shapes
from captioner.text import Vocabulary

CELLS = ("rnn", "gru", "lstm")
CONFIG = DecoderConfig("rnn", 8, 5, 7, 0.4, vocabulary_size=11, locations=4, channels=6)
TOKENS = np.random.default_rng(4).integers(Vocabulary.end + 1, 11, size=(3, 2)).astype(np.int32)  # (B, K)
FEATURES = np.random.default_rng(5).normal(size=(3, 4, 6)).astype(np.float32)


def networks(cell: str) -> tuple[CaptionModel, DecoderNetwork]:
    config = replace(CONFIG, cell=cell)
    model = CaptionModel(config)
    draw = np.random.default_rng(6)
    model.set_weights([draw.uniform(-1, 1, weight.shape) for weight in model.weights])
    return model, DecoderNetwork(config, model.named_weights())


@pytest.mark.parametrize("cell", CELLS)
def test_the_weights_are_those_of_keras(cell):
    config = replace(CONFIG, cell=cell)
    named = CaptionModel(config).named_weights()
    assert {name: value.shape for name, value in named.items()} == weight_shapes(config)


@pytest.mark.parametrize("cell", CELLS)
def test_every_step_is_that_of_keras(cell):
    model, ours = networks(cell)
    (their_step, theirs), (our_step, states) = model.start(FEATURES), ours.start(FEATURES)
    for state, expected in zip(states, theirs, strict=True):
        assert state.shape == (3, 1, 8)
        np.testing.assert_allclose(state, expected, atol=2e-6)
    states, theirs = ([np.repeat(state, 2, axis=1) for state in each] for each in (states, theirs))
    tokens = TOKENS
    for _ in range(4):
        log_probs, states, attention = our_step(tokens, states)
        expected, theirs, looked = their_step(tokens, theirs)
        assert (log_probs.shape, attention.shape) == ((3, 2, 11), (3, 2, 4))
        assert (log_probs.dtype, states[0].dtype, attention.dtype) == (np.float32,) * 3
        np.testing.assert_allclose(log_probs, expected, atol=5e-6)
        np.testing.assert_allclose(attention, looked, atol=2e-6)
        for state, other in zip(states, theirs, strict=True):
            np.testing.assert_allclose(state, other, atol=2e-6)
        tokens = log_probs[..., Vocabulary.end + 1 :].argmax(axis=-1).astype(np.int32) + Vocabulary.end + 1


@pytest.mark.parametrize("cell", CELLS)
def test_captions_are_those_of_keras(cell):
    model, ours = networks(cell)
    decoding = DecodingConfig(beam_width=3, length_penalty=0.7, max_length=7)
    for found, expected in zip(generate(ours, FEATURES, decoding), generate(model, FEATURES, decoding), strict=True):
        assert [each.tokens for each in found] == [each.tokens for each in expected]
        np.testing.assert_allclose([e.score for e in found], [e.score for e in expected], atol=1e-5)


def test_slots_out_of_use_cost_nothing_and_change_nothing():
    _, ours = networks("lstm")
    step, states = ours.start(FEATURES)
    states = [np.repeat(state, 2, axis=1) for state in states]
    tokens = TOKENS.copy()
    tokens[0], tokens[2, 1] = Vocabulary.end, Vocabulary.end  # an image that is done, and one with one live slot
    expected, after, looked = step(TOKENS, states)
    log_probs, states, attention = step(tokens, states)
    used = tokens != Vocabulary.end
    for found, whole in zip((log_probs, attention, *states), (expected, looked, *after), strict=True):
        np.testing.assert_allclose(found[used], whole[used], atol=1e-6)
        assert found.shape == whole.shape
        assert not found[~used].any()


def test_states_that_are_given_are_not_changed_and_large_numbers_do_no_harm():
    for cell in CELLS:
        model, _ = networks(cell)
        ours = DecoderNetwork(model.config, {n: v * 300 for n, v in model.named_weights().items()})
        step, states = ours.start(FEATURES)
        before = [state.copy() for state in states]
        log_probs, _, attention = step(TOKENS[:, :1], states)
        np.testing.assert_array_equal(states, before)
        np.testing.assert_allclose(np.exp(log_probs).sum(axis=-1), 1, atol=1e-4)
        np.testing.assert_allclose(attention.sum(axis=-1), 1, atol=1e-5)


def test_features_as_a_store_keeps_them_will_do():
    _, ours = networks("rnn")
    step, states = ours.start(FEATURES.astype(np.float16))
    assert states[0].dtype == np.float32
    assert step(TOKENS[:, :1], states)[0].dtype == np.float32

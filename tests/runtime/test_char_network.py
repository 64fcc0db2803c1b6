from dataclasses import replace

import keras
import numpy as np
import pytest

from captioner.config.model import CharModelConfig
from captioner.models.char_lm import CharModel
from captioner.runtime.char_network import CharNetwork, weight_shapes

CONFIG = CharModelConfig("rnn", 3, 8, 5, 0.25, True, 11)
TOKENS = np.random.default_rng(4).integers(11, size=(2, 7)).astype(np.int32)
KINDS = [(cell, norm) for cell in ("rnn", "gru", "lstm") for norm in (False, True)]


@pytest.mark.parametrize(("cell", "layer_norm"), KINDS)
def test_it_is_the_network_of_keras(cell, layer_norm, weights):
    config = replace(CONFIG, cell=cell, layer_norm=layer_norm)
    network = CharModel(config)
    assert {name: value.shape for name, value in network.named_weights().items()} == weight_shapes(config)
    network.set_named_weights(weights(config))
    ours = CharNetwork(config, network.named_weights())

    logits, after = network(TOKENS, network.initial_states(2))
    log_probs, states = ours(TOKENS, ours.initial_states(2))
    np.testing.assert_allclose(log_probs, keras.ops.log_softmax(logits), atol=2e-5)
    for found, expected in zip(states, after, strict=True):
        np.testing.assert_allclose(found, expected, atol=2e-5)

    logits, _ = network(TOKENS, after)  # from states that are not empty
    np.testing.assert_allclose(ours(TOKENS, states)[0], keras.ops.log_softmax(logits), atol=5e-5)


@pytest.mark.parametrize(("cell", "layer_norm"), KINDS)
def test_a_step_at_a_time_is_one_window(cell, layer_norm, weights):
    config = replace(CONFIG, cell=cell, layer_norm=layer_norm)
    network = CharNetwork(config, weights(config))
    whole, after = network(TOKENS, network.initial_states(2))
    states, steps = network.initial_states(2), []
    for t in range(TOKENS.shape[1]):
        log_probs, states = network(TOKENS[:, t : t + 1], states)
        steps.append(log_probs)
    np.testing.assert_allclose(np.concatenate(steps, axis=1), whole, atol=1e-5)
    for found, expected in zip(states, after, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_probabilities_sum_to_1_and_large_numbers_do_no_harm(weights):
    large = {name: value * 300 for name, value in weights(CONFIG).items()}
    for config in (CONFIG, replace(CONFIG, cell="lstm")):
        network = CharNetwork(config, large if config is CONFIG else {n: v * 300 for n, v in weights(config).items()})
        log_probs, _ = network(TOKENS, network.initial_states(2))
        np.testing.assert_allclose(np.exp(log_probs).sum(axis=-1), 1, atol=1e-4)


def test_states_that_are_given_are_not_changed(weights):
    for cell in ("rnn", "gru", "lstm"):
        config = replace(CONFIG, cell=cell)
        network = CharNetwork(config, weights(config))
        states = network.initial_states(2)
        network(TOKENS, states)
        assert all((state == 0).all() for state in states)

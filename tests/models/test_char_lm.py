from dataclasses import replace

import keras
import numpy as np
import pytest

from captioner.config.model import CharModelConfig
from captioner.models.char_lm import CharModel

CONFIG = CharModelConfig("gru", 2, 8, 5, 0.25, True, 11)
TOKENS = np.random.default_rng(3).integers(11, size=(2, 4)).astype(np.int32)


def test_it_predicts_every_next_character():
    model = CharModel(CONFIG)
    logits, states = model(TOKENS, model.initial_states(2))
    assert logits.shape == (2, 4, 11)
    assert [tuple(state.shape) for state in states] == [(2, 8), (2, 8)]
    changed = TOKENS.copy()
    changed[:, 2] = (changed[:, 2] + 1) % 11
    difference = np.abs(model(changed, model.initial_states(2))[0] - logits).max(axis=(0, 2))
    assert (difference[:2] == 0).all(), "a character says nothing of those before it"
    assert (difference[2:] > 1e-5).all()


def test_mixed_precision_gives_logits_in_float32():
    model = CharModel(CONFIG, dtype="mixed_bfloat16")
    logits, states = model(TOKENS, model.initial_states(2))
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    assert keras.backend.standardize_dtype(states[0].dtype) == "bfloat16"


@pytest.mark.parametrize(("seed", "epoch", "same"), [(1, 2, True), (1, 3, False), (2, 2, False)])
@pytest.mark.parametrize("dropped", [{"dropout": 0.5}, {"dropout": 0.0, "recurrent_dropout": 0.5}])
def test_dropout_follows_from_seed_and_epoch(seed, epoch, same, dropped):
    model = CharModel(replace(CONFIG, **dropped))

    def logits(*numbers):
        model.reseed(*numbers)
        return np.array(model(TOKENS, model.initial_states(2), training=True)[0])

    assert (logits(1, 2) == logits(seed, epoch)).all() == same


def test_without_dropout_there_is_nothing_to_reseed():
    CharModel(CharModelConfig(dropout=0.0, hidden_size=4, vocabulary_size=5)).reseed(1, 2)


def test_it_starts_with_the_frequencies_of_the_characters():
    model = CharModel(CONFIG)
    model.set_character_frequencies(np.arange(11) * 10)
    expected = (np.arange(11) * 10 + 1) / (np.arange(11) * 10 + 1).sum()
    np.testing.assert_allclose(np.exp(model.output_projection.bias), expected, rtol=1e-5)


def test_weights_go_by_name():
    model, other = CharModel(CONFIG), CharModel(CONFIG)
    weights = model.named_weights()
    assert len(weights) == len(model.weights)
    assert weights["cell_2/recurrent_kernel"].shape == (8, 24)
    assert np.abs(weights["embedding/embeddings"] - other.named_weights()["embedding/embeddings"]).max() > 0
    other.set_named_weights(dict(reversed(weights.items())))
    for found, expected in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_configuration_round_trip():
    model = CharModel(CONFIG)
    twin = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(model))
    assert twin.config == CONFIG
    twin.set_weights(model.get_weights())
    np.testing.assert_array_equal(twin(TOKENS, twin.initial_states(2))[0], model(TOKENS, model.initial_states(2))[0])

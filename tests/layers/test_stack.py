import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from captioner.layers.stack import RecurrentStack

B, T, D, U = 3, 6, 5, 4
CELLS = ("rnn", "gru", "lstm")
STATES = {"rnn": 1, "gru": 1, "lstm": 2}


def make(cell="rnn", layers=2, dropout=0.0, layer_norm=True, dtype="float32", seed=1):
    stack = RecurrentStack(cell, layers, U, dropout, layer_norm, dtype=dtype)
    stack.build((None, None, D))
    draw = np.random.default_rng(seed)
    stack.set_weights([draw.uniform(-0.8, 0.8, weight.shape) for weight in stack.weights])
    return stack


def inputs(steps=T):
    return np.random.default_rng(2).normal(size=(B, steps, D)).astype(np.float32)


def normalised(x, gamma, beta):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-3) * gamma + beta


def test_two_vanilla_layers_by_hand():
    stack = make()
    W1, H1, b1, W2, H2, b2, *norms = [np.array(weight) for weight in stack.get_weights()]
    x = inputs(2)
    h1 = h2 = np.zeros((B, U))
    expected = []
    for t in range(2):
        h1 = np.tanh(x[:, t] @ W1 + h1 @ H1 + b1)
        below = normalised(h1, *norms[:2])
        h2 = np.tanh(below @ W2 + h2 @ H2 + b2)
        expected.append(normalised(h2 + below, *norms[2:]))
    found, states = stack(x, stack.initial_states(B))
    np.testing.assert_allclose(found, np.stack(expected, 1), atol=1e-5)
    np.testing.assert_allclose(states[0], h1, atol=1e-5)
    np.testing.assert_allclose(states[1], h2, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_one_bare_layer_is_the_layer_of_keras_with_the_same_cell(cell):
    stack = make(cell, layers=1, layer_norm=False)
    layer = keras.layers.RNN(stack.cells[0], return_sequences=True)
    np.testing.assert_allclose(
        stack(inputs(), stack.initial_states(B))[0],
        layer(inputs(), initial_state=stack.initial_states(B)),
        atol=1e-6,
    )


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("cuts", [(3,), (1, 2), (1, 2, 3, 4, 5)])
def test_the_state_carried_from_window_to_window_makes_one_long_pass(cell, cuts):
    stack = make(cell, layers=3)
    whole, after = stack(inputs(), stack.initial_states(B))
    states, parts = stack.initial_states(B), []
    for window in np.split(inputs(), cuts, axis=1):
        read, states = stack(window, states)
        parts.append(read)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-6)
    assert len(states) == len(after) == 3 * STATES[cell]
    for found, expected in zip(states, after, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_another_state_makes_another_output(cell):
    stack = make(cell)
    for number in range(2 * STATES[cell]):
        states = stack.initial_states(B)
        states[number] = states[number] + 0.5
        assert np.abs(stack(inputs(), states)[0] - stack(inputs(), stack.initial_states(B))[0]).max() > 1e-3


def test_dropout_drops_the_same_units_at_all_steps_and_only_in_training():
    stack = make(dropout=0.5)
    zeros = np.array(stack(inputs(), stack.initial_states(B), training=True)[0]) == 0  # (B, T, U)
    assert 0 < zeros.mean() < 1
    assert (zeros == zeros[:, :1]).all()
    assert not (zeros[0] == zeros[1:]).all()
    again = np.array(stack(inputs(), stack.initial_states(B), training=True)[0]) == 0
    assert not (again == zeros).all()
    np.testing.assert_array_equal(*(stack(inputs(), stack.initial_states(B))[0] for _ in range(2)))


def test_dropout_stays_off_the_path_from_step_to_step():
    stack, still = make(layers=1, dropout=0.5), make(layers=1)
    dropped, states = stack(inputs(), stack.initial_states(B), training=True)
    kept, expected = still(inputs(), still.initial_states(B))
    np.testing.assert_allclose(states[0], expected[0], atol=1e-6)
    kept_units = np.array(dropped) != 0
    np.testing.assert_allclose(np.array(dropped)[kept_units], 2 * np.array(kept)[kept_units], atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layer_norm", [False, True])
def test_every_weight_gets_a_gradient_and_configuration_comes_back(cell, layer_norm):
    stack = make(cell, dropout=0.25, layer_norm=layer_norm)
    twin = RecurrentStack.from_config(stack.get_config())
    assert twin.get_config() == stack.get_config()
    assert keras.saving.get_registered_name(RecurrentStack) == "captioner>RecurrentStack"
    with tf.GradientTape() as tape:
        loss = ops.sum(stack(inputs(), stack.initial_states(B))[0] ** 3)
    gates = {"rnn": 1, "gru": 3, "lstm": 4}[cell]
    cell_weights = sum(gates * (size * U + U * U + U) for size in (D, U)) + (2 * U if cell == "gru" else 0)
    assert stack.count_params() == cell_weights + (4 * U if layer_norm else 0)
    for weight, gradient in zip(stack.trainable_variables, tape.gradient(loss, stack.trainable_variables), strict=True):
        assert np.abs(gradient).max() > 1e-6, weight.path


@pytest.mark.parametrize("cell", CELLS)
def test_mixed_precision_computes_in_bfloat16_on_float32_weights(cell):
    exact, mixed = make(cell), make(cell, dtype="mixed_bfloat16")
    found, states = mixed(inputs(), mixed.initial_states(B))
    assert {keras.backend.standardize_dtype(each.dtype) for each in [found, *states]} == {"bfloat16"}
    assert {keras.backend.standardize_dtype(weight.dtype) for weight in mixed.weights} == {"float32"}
    expected = np.array(exact(inputs(), exact.initial_states(B))[0])
    np.testing.assert_allclose(ops.convert_to_numpy(ops.cast(found, "float32")), expected, atol=0.15)


def test_recurrent_dropout_drops_weights_from_state_to_state_for_a_whole_window():
    stack = RecurrentStack("rnn", 1, 30, layer_norm=False, recurrent_dropout=0.25)
    stack.build((None, None, D))
    nothing, each_unit = np.zeros((30, 2, D), np.float32), [np.eye(30, dtype=np.float32) * 0.5]
    kernel = np.array(stack.cells[0].recurrent_kernel)  # (U, U)
    (first, second), (other, _) = (
        np.moveaxis(np.arctanh(np.array(stack(nothing, each_unit, training=True)[0])), 1, 0) for _ in range(2)
    )
    dropped = 2 * first  # h_1 = tanh(0.5 W_h): one row a unit
    kept = np.abs(dropped) > 1e-6
    assert 0.2 < 1 - kept.mean() < 0.3
    np.testing.assert_allclose(dropped[kept], kernel[kept] / 0.75, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(second, np.tanh(first) @ dropped, atol=1e-5)  # the same weights a step later
    assert ((np.abs(other) > 1e-6) != kept).any(), "another window, the same weights"
    np.testing.assert_allclose(np.arctanh(stack(nothing, each_unit)[0][:, 0]), kernel * 0.5, atol=1e-5)

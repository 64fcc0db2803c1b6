import keras
import numpy as np
import pytest
import tensorflow as tf

from captioner.layers.cells import GRUCell, LSTMCell, RNNCell, make_cell

B, T, D, U = 3, 4, 5, 6

# Our cell, and Keras's of the same mathematics.
TWINS = {
    "rnn": (RNNCell, keras.layers.SimpleRNNCell),
    "gru": (GRUCell, keras.layers.GRUCell),  # reset_after=True is its default
    "lstm": (LSTMCell, keras.layers.LSTMCell),
}


@pytest.fixture(params=list(TWINS))
def twins(request):
    """Our cell and Keras's with the same random weights."""
    ours, theirs = (kind(U) for kind in TWINS[request.param])
    for cell in (ours, theirs):
        cell.build((B, D))
    draw = np.random.default_rng(5)
    weights = [draw.uniform(-0.8, 0.8, weight.shape).astype(np.float32) for weight in ours.weights]
    ours.set_weights(weights)
    if request.param == "gru":  # Keras has a recurrent bias for every gate; those of z and r only add to ours
        kernel, recurrent_kernel, bias, candidate_bias = weights
        recurrent_bias = np.concatenate([np.zeros(2 * U), candidate_bias])
        weights = [kernel, recurrent_kernel, np.stack([bias, recurrent_bias])]
    theirs.set_weights(weights)
    return ours, theirs


def inputs_and_states(cell, *shape):
    draw = np.random.default_rng(6)
    states = cell.state_size if isinstance(cell.state_size, list) else [cell.state_size]
    return (
        tf.constant(draw.normal(size=shape), tf.float32),
        [tf.constant(draw.normal(size=(shape[0], size)), tf.float32) for size in states],
    )


def outcome(cell, run, inputs, states):
    """Outputs, states, and the gradients of their weighted sum by inputs, states and weights."""
    with tf.GradientTape() as tape:
        tape.watch([inputs, states])
        results = tf.nest.flatten(run(inputs, states))
        total = sum(tf.reduce_sum(result * tf.cos(tf.range(U, dtype=tf.float32))) for result in results)
    gradients = tape.gradient(total, [inputs, *states, *cell.trainable_variables])
    return results, gradients


def assert_equal_outcomes(ours, theirs):
    for mine, wanted in zip(ours[0], theirs[0], strict=True):
        np.testing.assert_allclose(mine, wanted, atol=1e-6)
    for mine, wanted in zip(ours[1], theirs[1], strict=False):
        if mine.shape == wanted.shape:
            np.testing.assert_allclose(mine, wanted, rtol=1e-5, atol=2e-6)
        else:  # the GRU's biases: ours are the input's row, and the candidate's part of the recurrent row
            np.testing.assert_allclose(mine, wanted[0], rtol=1e-5, atol=2e-6)
            np.testing.assert_allclose(ours[1][-1], wanted[1, 2 * U :], rtol=1e-5, atol=2e-6)


def test_a_step_equals_that_of_keras(twins):
    ours, theirs = twins
    inputs, states = inputs_and_states(ours, B, D)
    assert_equal_outcomes(outcome(ours, ours, inputs, states), outcome(theirs, theirs, inputs, states))


def test_a_sequence_equals_that_of_keras(twins):
    ours, theirs = twins
    inputs, states = inputs_and_states(ours, B, T, D)

    def run(cell):
        layer = keras.layers.RNN(cell, return_sequences=True, return_state=True)
        return outcome(cell, lambda inputs, states: layer(inputs, initial_state=states), inputs, states)

    assert_equal_outcomes(run(ours), run(theirs))


def test_a_layer_starts_from_zeros(twins):
    ours, theirs = twins
    inputs, _ = inputs_and_states(ours, B, T, D)
    np.testing.assert_allclose(keras.layers.RNN(ours)(inputs), keras.layers.RNN(theirs)(inputs), atol=1e-6)
    assert [tuple(state.shape) for state in ours.get_initial_state(B)] == [(B, U)] * ours.states


def test_call_is_project_then_advance(twins):
    ours, _ = twins
    inputs, states = inputs_and_states(ours, B, D)
    output, after = ours(inputs, states)
    split = ours.advance(ours.project(inputs), states)
    assert len(after) == len(split) == ours.states
    np.testing.assert_array_equal(output, after[0])
    for whole, halves in zip(after, split, strict=True):
        np.testing.assert_array_equal(whole, halves)


def test_more_axes_before_the_last_change_nothing(twins):
    ours, _ = twins
    inputs, states = inputs_and_states(ours, 6, D)
    flat = ours.advance(ours.project(inputs), states)
    folded = ours.advance(
        ours.project(tf.reshape(inputs, (2, 3, D))), [tf.reshape(state, (2, 3, U)) for state in states]
    )
    for one, other in zip(flat, folded, strict=True):
        np.testing.assert_allclose(tf.reshape(other, (6, U)), one, atol=1e-6)


def by_hand(kind, *weights):
    cell = kind(1)
    cell.build((1, 1))
    cell.set_weights(
        [np.reshape(np.float32(weight), shape.shape) for weight, shape in zip(weights, cell.weights, strict=True)]
    )
    return cell


def test_the_tanh_cell_by_hand():
    cell = by_hand(RNNCell, 0.5, 0.25, 0.1)
    output, states = cell(np.float32([[2.0]]), [np.float32([[-0.4]])])
    # tanh(2 * 0.5 - 0.4 * 0.25 + 0.1) = tanh(1)
    np.testing.assert_allclose(output, [[0.7615942]], atol=1e-6)
    np.testing.assert_allclose(states[0], [[0.7615942]], atol=1e-6)


def test_the_gru_by_hand():
    # z: 2 * 0.5 + 1 * -1 = 0, so z = 0.5; r: 2 * 0 + 1 * 0 = 0, so r = 0.5; n: tanh(2 * 0.25 + 0.5 * (1 * 0.6 + 0.4)).
    cell = by_hand(GRUCell, [0.5, 0.0, 0.25], [-1.0, 0.0, 0.6], [0.0, 0.0, 0.0], [0.4])
    output, _ = cell(np.float32([[2.0]]), [np.float32([[1.0]])])
    np.testing.assert_allclose(output, [[0.5 * 1.0 + 0.5 * 0.7615942]], atol=1e-6)


def test_the_lstm_by_hand():
    # i = f = o = sigmoid(0) = 0.5; g = tanh(2 * 0.5) = 0.7615942; c = 0.5 * 0.8 + 0.5 * g; h = 0.5 * tanh(c).
    cell = by_hand(LSTMCell, [0.0, 0.0, 0.5, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0])
    output, (h, c) = cell(np.float32([[2.0]]), [np.float32([[0.3]]), np.float32([[0.8]])])
    np.testing.assert_allclose(c, [[0.7807971]], atol=1e-6)
    np.testing.assert_allclose(h, [[0.3265820]], atol=1e-6)
    np.testing.assert_array_equal(output, h)


@pytest.mark.parametrize("name", list(TWINS))
def test_initial_weights(name):
    cell = make_cell(name, U)
    cell.build((None, D))
    recurrent = keras.ops.convert_to_numpy(cell.recurrent_kernel)  # (U, G*U)
    gates = np.split(recurrent, cell.gates, axis=1)
    for gate in gates:
        np.testing.assert_allclose(gate @ gate.T, np.eye(U), atol=1e-5)
    for number, gate in enumerate(gates[1:]):
        assert np.abs(gate - gates[number]).max() > 0.1, "two gates start alike"
    bias = np.zeros(cell.gates * U)
    if name == "lstm":
        bias[U : 2 * U] = 1  # the forget gate's
    np.testing.assert_array_equal(cell.bias, bias)
    limit = np.sqrt(6 / (D + cell.gates * U))  # Glorot's uniform distribution
    assert 0.8 * limit < np.abs(keras.ops.convert_to_numpy(cell.kernel)).max() <= limit


def test_a_seed_repeats_the_initial_weights():
    def draw(seed):
        keras.utils.set_random_seed(seed)
        cell = make_cell("lstm", U)
        cell.build((None, D))
        return keras.ops.convert_to_numpy(cell.recurrent_kernel)

    np.testing.assert_array_equal(draw(1), draw(1))
    assert np.abs(draw(1) - draw(2)).max() > 0.1


@pytest.mark.parametrize(("name", "kind"), [("rnn", RNNCell), ("gru", GRUCell), ("lstm", LSTMCell)])
def test_cells_by_name(name, kind):
    cell = make_cell(name, U, name="here")
    assert type(cell) is kind
    assert (cell.units, cell.name) == (U, "here")


@pytest.mark.parametrize("name", ["transformer", "RNN", "", "Cell"])
def test_an_unknown_cell_is_refused(name):
    with pytest.raises(ValueError, match=f"cell: expected one of rnn, gru, lstm, found '{name}'"):
        make_cell(name, U)


@pytest.mark.parametrize("name", list(TWINS))
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-12)])
def test_a_window_gives_the_outputs_and_gradients_of_its_steps(name, dtype, tolerance):
    cell = make_cell(name, U, dtype=dtype)
    cell.build((None, D))
    draw = np.random.default_rng(8)
    cell.set_weights([draw.uniform(-0.8, 0.8, weight.shape) for weight in cell.weights])
    inputs, states = inputs_and_states(cell, B, T, D)
    inputs, states = tf.cast(inputs, dtype), [tf.cast(state, dtype) for state in states]
    weigh = draw.normal(size=(B, T + len(states), U))

    def step_by_step(projected, states):
        outputs = []
        for t in range(T):
            states = cell.advance(projected[:, t], states)
            outputs.append(states[0])
        return tf.stack(outputs, axis=1), states

    def run(unroll):
        with tf.GradientTape() as tape:
            tape.watch([inputs, states])
            outputs, after = unroll(cell.project(inputs), states)
            total = tf.reduce_sum(tf.concat([outputs, tf.stack(after, axis=1)], axis=1) * weigh)
        return [outputs, *after, *tape.gradient(total, [inputs, *states, *cell.trainable_variables])]

    for found, expected in zip(run(cell.unroll), run(step_by_step), strict=True):
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    if name == "rnn":  # inside a graph too, where slices of the outputs were once confused
        for found, expected in zip(tf.function(lambda: run(cell.unroll))(), run(step_by_step), strict=True):
            np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)

"""The layers in the hands of somebody who has Keras alone in mind: `RNN`, `Bidirectional`, functional models, files."""

import keras
import numpy as np
import pytest

from captioner.layers import BahdanauAttention, GRUCell, LSTMCell, RNNCell

B, K, L, F, A, U, T, D = 2, 3, 4, 5, 6, 7, 4, 5
CELLS = (RNNCell, GRUCell, LSTMCell)
POLICIES = ("float32", "mixed_bfloat16")


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape) + sum(shape)).normal(size=shape).astype(np.float32)


def numbers(array):
    return keras.ops.convert_to_numpy(array).astype(np.float32)


def read_back(model, path):
    model.save(path)
    return keras.saving.load_model(path)


def around(cell, name, policy):
    if name == "rnn":
        return keras.layers.RNN(cell(U, dtype=policy), return_sequences=True, dtype=policy)
    if name == "stacked":
        return keras.layers.RNN([cell(U, dtype=policy), cell(3, dtype=policy)], dtype=policy)
    layer = keras.layers.RNN(cell(U, dtype=policy), dtype=policy)
    return keras.layers.Bidirectional(layer, dtype=policy)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", ["rnn", "stacked", "bidirectional"])
@pytest.mark.parametrize("cell", CELLS)
def test_cells_in_keras(cell, name, policy, tmp_path):
    model = keras.Sequential([keras.Input((None, D)), around(cell, name, policy)])
    x = draw(B, T, D)
    shape = {"rnn": (B, T, U), "stacked": (B, 3), "bidirectional": (B, 2 * U)}[name]
    assert model(x).shape == shape
    assert model.output_shape == (None, *((None, U) if name == "rnn" else shape[1:]))
    np.testing.assert_array_equal(numbers(read_back(model, tmp_path / "a.keras")(x)), numbers(model(x)))


@pytest.mark.parametrize("cell", CELLS)
def test_cells_learn_under_xla(cell):
    model = keras.Sequential([keras.Input((T, D)), keras.layers.RNN(cell(U))])
    model.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=True)
    loss = model.fit(draw(B, T, D), np.zeros((B, U)), epochs=3, verbose=0).history["loss"]
    assert loss[2] < loss[0]


def test_the_cell_is_that_of_keras():
    ours, theirs = keras.layers.RNN(RNNCell(U)), keras.layers.SimpleRNN(U)
    x = draw(B, T, D)
    ours(x), theirs(x)
    ours.set_weights(theirs.get_weights())
    np.testing.assert_allclose(ours(x), theirs(x), atol=1e-6)


def test_a_cell_called_alone_builds_itself():
    cell = LSTMCell(U)
    output, states = cell(draw(B, D), cell.get_initial_state(B))
    assert output.shape == (B, U)
    assert [state.shape for state in states] == [(B, U), (B, U)]
    assert cell.compute_output_shape((None, D)) == (None, U)


def test_fresh_attention_as_its_docstring_uses_it():
    attention, query, values = BahdanauAttention(A), draw(B, K, U), draw(B, L, F)
    keys = attention.keys(values)
    context, weights = attention(query, keys, values)
    assert (keys.shape, context.shape, weights.shape) == ((B, L, A), (B, K, F), (B, K, L))
    at_once, _ = attention(query, values=values)
    np.testing.assert_array_equal(at_once, context)
    assert len(attention.weights) == 4


def test_attention_is_additive_attention():
    attention, query, values = BahdanauAttention(A), draw(B, K, U), draw(B, L, F)
    keys = attention.keys(values)
    context, weights = attention(query, keys, values)
    theirs = keras.layers.AdditiveAttention()
    inputs = [attention.query(query), keras.ops.convert_to_tensor(values), keys]
    theirs.build([each.shape for each in inputs])
    theirs.set_weights([attention.scale[:, 0]])
    their_context, their_weights = theirs(inputs, return_attention_scores=True)
    np.testing.assert_allclose(weights, their_weights, atol=1e-6)
    np.testing.assert_allclose(context, their_context, atol=1e-6)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("with_keys", [True, False])
def test_attention_in_a_functional_model(with_keys, policy, tmp_path):
    query, values = keras.Input((None, U)), keras.Input((L, F))
    attention = BahdanauAttention(A, dtype=policy)
    keys = attention.keys(values) if with_keys else None
    context, weights = attention(query, keys, values)
    assert (context.shape, weights.shape) == ((None, None, F), (None, None, L))
    model = keras.Model([query, values], [context, weights])
    model.compile(keras.optimizers.SGD(0.5), ["mse", None], jit_compile=True)
    x = [draw(B, K, U), draw(B, L, F)]
    loss = model.fit(x, [np.zeros((B, K, F))], epochs=3, verbose=0).history["loss"]
    assert loss[2] < loss[0]
    assert len(model.trainable_weights) == 4
    twin = read_back(model, tmp_path / "a.keras")
    for one, other in zip(twin(x), model(x), strict=True):
        np.testing.assert_array_equal(numbers(one), numbers(other))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((draw(B, U), None, draw(B, L, F)), r"query: expected three axes \(B, K, U\), found shape \(2, 7\)"),
        ((draw(B, K, U), None, None), "values: expected the regions of the images"),
        ((draw(B, K, U), None, draw(B, F)), r"values: expected three axes \(B, L, F\), found shape \(2, 5\)"),
    ],
)
def test_wrong_ranks_are_named(arrays, message):
    with pytest.raises(ValueError, match=message):
        BahdanauAttention(A)(*arrays)

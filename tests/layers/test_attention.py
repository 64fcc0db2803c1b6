import keras
import numpy as np
import pytest

from captioner.layers.attention import BahdanauAttention

B, K, L, F, A, U = 2, 3, 4, 5, 6, 7


@pytest.fixture
def attention():
    layer = BahdanauAttention(A)
    layer.build((None, None, U), (None, None, F))
    draw = np.random.default_rng(7)
    layer.set_weights([draw.normal(size=weight.shape) for weight in layer.weights])
    return layer


@pytest.fixture
def inputs():
    draw = np.random.default_rng(8)
    return draw.normal(size=(B, K, U)).astype(np.float32), draw.normal(size=(B, L, F)).astype(np.float32)


def attend(layer, query, values):
    context, weights = layer(query, layer.keys(values), values)
    return np.asarray(context), np.asarray(weights)


def test_by_hand_in_one_dimension():
    layer = BahdanauAttention(1)
    layer.build((1, 1, 1), (1, 2, 1))
    layer.key.set_weights([np.array([[1.0]]), np.array([0.5])])
    layer.query.set_weights([np.array([[2.0]])])
    layer.scale.assign([[3.0]])
    values = np.float32([[[0.5], [-1.5]]])
    np.testing.assert_allclose(layer.keys(values), [[[1.0], [-1.0]]])
    context, weights = attend(layer, np.float32([[[0.0]]]), values)
    # Scores 3 tanh(1) and 3 tanh(-1), so the first weight is sigmoid(6 tanh 1) = sigmoid(4.5695650).
    np.testing.assert_allclose(weights, [[[0.9897438, 0.0102562]]], atol=1e-6)
    np.testing.assert_allclose(context, [[[0.5 * 0.9897438 - 1.5 * 0.0102562]]], atol=1e-6)
    # A query of 0.5 adds 1 to every key: scores 3 tanh(2) and 3 tanh(0).
    _, weights = attend(layer, np.float32([[[0.5]]]), values)
    np.testing.assert_allclose(weights, [[[0.9474537, 0.0525463]]], atol=1e-6)


def test_by_hand_in_two_dimensions():
    layer = BahdanauAttention(2)
    layer.build((1, 1, 2), (1, 2, 2))
    layer.key.set_weights([np.eye(2), np.zeros(2)])
    layer.query.set_weights([np.zeros((2, 2))])
    layer.scale.assign([[1.0], [-1.0]])
    values = np.float32([[[1.0, 0.0], [0.0, 1.0]]])
    context, weights = attend(layer, np.float32([[[9.0, 9.0]]]), values)
    # Scores tanh(1) and -tanh(1): the first weight is sigmoid(2 tanh 1).
    np.testing.assert_allclose(weights, [[[0.8210075, 0.1789925]]], atol=1e-6)
    np.testing.assert_allclose(context, weights, atol=1e-6)


def test_the_formula_in_numpy(attention, inputs):
    query, values = inputs
    context, weights = attend(attention, query, values)
    W_k, b, W_q, v = (
        keras.ops.convert_to_numpy(weight).astype(np.float64)
        for weight in (*attention.key.weights, *attention.query.weights, attention.scale)
    )
    for b_, k in np.ndindex(B, K):
        scores = [v[:, 0] @ np.tanh(values[b_, place] @ W_k + b + query[b_, k] @ W_q) for place in range(L)]
        expected = np.exp(scores) / np.exp(scores).sum()
        np.testing.assert_allclose(weights[b_, k], expected, atol=1e-5)
        np.testing.assert_allclose(context[b_, k], expected @ values[b_], atol=1e-5)


def test_weights_sum_to_one(attention, inputs):
    context, weights = attend(attention, *inputs)
    assert weights.shape == (B, K, L)
    assert context.shape == (B, K, F)
    assert (weights > 0).all()
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-6)


def test_equal_places_share_the_attention(attention, inputs):
    query, values = inputs
    values = np.repeat(values[:, :1], L, axis=1)
    context, weights = attend(attention, query, values)
    np.testing.assert_allclose(weights, 1 / L, atol=1e-6)
    np.testing.assert_allclose(context, np.repeat(values[:, :1], K, axis=1), atol=1e-6)


def test_many_captions_equal_one_at_a_time(attention, inputs):
    query, values = inputs
    context, weights = attend(attention, query, values)
    for k in range(K):
        one_context, one_weights = attend(attention, query[:, k : k + 1], values)
        np.testing.assert_allclose(one_context[:, 0], context[:, k], atol=1e-6)
        np.testing.assert_allclose(one_weights[:, 0], weights[:, k], atol=1e-6)


def test_images_do_not_see_each_other(attention, inputs):
    query, values = inputs
    context, _ = attend(attention, query, values)
    alone, _ = attend(attention, query[1:], values[1:])
    np.testing.assert_allclose(alone[0], context[1], atol=1e-6)


def test_order_of_places_does_not_matter(attention, inputs):
    query, values = inputs
    context, weights = attend(attention, query, values)
    turned_context, turned_weights = attend(attention, query, values[:, ::-1])
    np.testing.assert_allclose(turned_weights[:, :, ::-1], weights, atol=1e-6)
    np.testing.assert_allclose(turned_context, context, atol=1e-5)


def test_huge_states_give_no_nan(attention, inputs):
    query, values = inputs
    _, weights = attend(attention, query * np.float32(1e30), values)
    assert np.isfinite(weights).all()
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-6)

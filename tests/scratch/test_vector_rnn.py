import numpy as np
import pytest

from captioner.scratch.layers import Affine
from captioner.scratch.rnn_layer import RNN
from captioner.scratch.vector_rnn import VectorRNN

T, D, H, V = 6, 4, 3, 5


@pytest.fixture
def weights(rng) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return rng.normal(size=(H, H)), rng.normal(size=(H, D)), rng.normal(size=(V, H))


def test_numbers_worked_by_hand():
    # h = tanh(ln 2 * 1) = 0.6, y = 10 * 0.6; then h = tanh(0 + 5 * 0.6 - 3) = 0
    rnn = VectorRNN(W_hh=np.array([[5.0]]), W_xh=np.array([[np.log(2)]]), W_hy=np.array([[10.0], [-1.0]]))
    np.testing.assert_array_equal(rnn.h, [0])
    np.testing.assert_allclose(rnn.step(np.array([1.0])), [6, -0.6])
    np.testing.assert_allclose(rnn.h, [0.6])
    np.testing.assert_allclose(rnn.step(np.array([-3 / np.log(2)])), [0, 0], atol=1e-14)


@pytest.mark.parametrize("start", [None, np.array([0.5, -0.2, 0.9])])
def test_it_is_the_row_network_with_transposed_weights(weights, start, rng):
    W_hh, W_xh, W_hy = weights
    vector = VectorRNN(W_hh, W_xh, W_hy, start)
    rows = RNN(Wx=W_xh.T, Wh=W_hh.T, b=np.zeros(H))
    output = Affine(W_hy.T, np.zeros(V))
    h = np.zeros((1, H)) if start is None else start[None]
    for x in rng.normal(size=(T, D)):
        y = vector.step(x)
        h = rows.forward(x[None], h)
        assert vector.h.shape == (H,)
        assert y.shape == (V,)
        np.testing.assert_allclose(vector.h[None], h, rtol=1e-12)
        np.testing.assert_allclose(y[None], output.forward(h), rtol=1e-12)


def test_columns_side_by_side_are_vectors_one_by_one(weights, rng):
    xs = rng.normal(size=(T, D, 2))
    both = VectorRNN(*weights, h=np.zeros((H, 2)))
    each = [VectorRNN(*weights) for _ in range(2)]
    for x in xs:
        expected = np.stack([rnn.step(column) for rnn, column in zip(each, x.T, strict=True)], axis=1)
        np.testing.assert_allclose(both.step(x), expected, rtol=1e-12)


def test_two_stack(rng):
    W_hh1, W_xh1, W_hy1 = rng.normal(size=(H, H)), rng.normal(size=(H, D)), rng.normal(size=(V, H))
    W_hh2, W_xh2, W_hy2 = rng.normal(size=(2, 2)), rng.normal(size=(2, V)), rng.normal(size=(1, 2))
    rnn1, rnn2 = VectorRNN(W_hh1, W_xh1, W_hy1), VectorRNN(W_hh2, W_xh2, W_hy2)
    h1, h2 = np.zeros(H), np.zeros(2)
    for x in rng.normal(size=(T, D)):
        y1 = rnn1.step(x)
        y2 = rnn2.step(y1)
        h1 = np.tanh(W_hh1 @ h1 + W_xh1 @ x)
        h2 = np.tanh(W_hh2 @ h2 + W_xh2 @ (W_hy1 @ h1))
        np.testing.assert_allclose(y2, W_hy2 @ h2, rtol=1e-12)


@pytest.mark.parametrize(("state", "x"), [((H,), (D, 1)), ((H, 1), (D,)), ((H, 1), (D, 2))])
def test_shapes_that_numpy_would_broadcast_are_refused(weights, state, x):
    rnn = VectorRNN(*weights, h=np.zeros(state))
    with pytest.raises(ValueError, match="x: expected a vector"):
        rnn.step(np.zeros(x))

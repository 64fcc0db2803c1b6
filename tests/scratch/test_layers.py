import numpy as np
import pytest

from captioner.scratch.layers import Affine, Embedding

N, T, D, V = 2, 3, 4, 5


def test_embedding_worked_by_hand():
    embedding = Embedding(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    np.testing.assert_array_equal(embedding.forward(np.array([2, 0, 2])), [[5, 6], [1, 2], [5, 6]])
    for _ in range(2):  # the second time overwrites the first
        embedding.backward(np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]]))
        np.testing.assert_array_equal(embedding.grads[0], [[2, 20], [0, 0], [5, 50]])


def test_affine_worked_by_hand():
    affine = Affine(np.array([[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]]), np.array([10.0, 20.0, 30.0]))
    np.testing.assert_array_equal(affine.forward(np.array([[1.0, 2.0], [0.0, -1.0]])), [[11, 24, 33], [10, 19, 30]])
    dx = affine.backward(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]))
    np.testing.assert_array_equal(dx, [[1, 0], [5, 1]])
    dW, db = affine.grads
    np.testing.assert_array_equal(dW, [[1, 0, 0], [2, -1, -1]])
    np.testing.assert_array_equal(db, [1, 1, 1])


def test_an_embedding_is_the_product_of_one_hot_vectors(rng):
    W, tokens, dx = rng.normal(size=(V, D)), rng.integers(V, size=(N, T)), rng.normal(size=(N, T, D))
    embedding, affine = Embedding(W), Affine(W, np.zeros(D))
    np.testing.assert_array_equal(embedding.forward(tokens), affine.forward(np.eye(V)[tokens]))
    embedding.backward(dx)
    affine.backward(dx)
    np.testing.assert_allclose(embedding.grads[0], affine.grads[0], rtol=1e-12)


@pytest.mark.parametrize("shape", [(N,), (N, T)])
def test_embedding_by_finite_differences(shape, rng, gradient_error):
    embedding, tokens, dx = (
        Embedding(rng.normal(size=(V, D))),
        rng.integers(V, size=shape),
        rng.normal(size=(*shape, D)),
    )

    def loss() -> float:
        return (embedding.forward(tokens) * dx).sum()

    loss()
    embedding.backward(dx)
    assert gradient_error(loss, embedding.params[0], embedding.grads[0]) <= 1e-8


@pytest.mark.parametrize("shape", [(N,), (N, T)])
def test_affine_by_finite_differences(shape, rng, gradient_error):
    affine = Affine(rng.normal(size=(D, V)), rng.normal(size=V))
    x, dy = rng.normal(size=(*shape, D)), rng.normal(size=(*shape, V))

    def loss() -> float:
        return (affine.forward(x) * dy).sum()

    loss()
    dx = affine.backward(dy)
    for array, grad in zip([x, *affine.params], [dx, *affine.grads], strict=True):
        assert gradient_error(loss, array, grad) <= 1e-8

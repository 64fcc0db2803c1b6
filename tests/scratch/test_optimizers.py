import numpy as np
import pytest

from captioner.scratch.optimizers import SGD, Adagrad, clip_gradients


def test_sgd_moves_in_place():
    params = [np.array([1.0, 2.0]), np.array([[3.0]])]
    same = list(params)
    SGD(0.5).update(params, [np.array([2.0, -4.0]), np.array([[6.0]])])
    np.testing.assert_array_equal(same[0], [0, 4])
    np.testing.assert_array_equal(same[1], [[0]])


def test_adagrad_worked_by_hand():
    # 3 / √9 = 1, then 4 / √(9 + 16) = 0.8, for each number by itself: the second is still at rest
    param = np.array([10.0, 10.0])
    adagrad = Adagrad(learning_rate=2.0, epsilon=1e-16)
    adagrad.update([param], [np.array([3.0, 0.0])])
    np.testing.assert_allclose(param, [8, 10])
    adagrad.update([param], [np.array([4.0, -7.0])])
    np.testing.assert_allclose(param, [6.4, 12])


def test_clipping_shortens_all_gradients_alike():
    grads = [np.array([3.0]), np.array([[0.0, -4.0]])]
    assert clip_gradients(grads, 1.0) == 5
    np.testing.assert_allclose(grads[0], [0.6])
    np.testing.assert_allclose(grads[1], [[0, -0.8]])


@pytest.mark.parametrize("max_norm", [5.0, 6.0])
def test_short_gradients_stay(max_norm):
    grads = [np.array([3.0]), np.array([4.0])]
    assert clip_gradients(grads, max_norm) == 5
    np.testing.assert_array_equal(grads, [[3], [4]])

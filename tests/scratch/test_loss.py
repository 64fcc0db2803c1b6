import numpy as np
import pytest

from captioner.scratch.loss import SoftmaxWithLoss, log_softmax, softmax


def test_numbers_worked_by_hand():
    # e^scores are 1, 2, 5 of 8 and 1, 1, 2 of 4
    scores = np.log([[[1.0, 2.0, 5.0], [1.0, 1.0, 2.0]]])
    p = [[[1 / 8, 2 / 8, 5 / 8], [1 / 4, 1 / 4, 2 / 4]]]
    np.testing.assert_allclose(softmax(scores), p)
    layer = SoftmaxWithLoss()
    assert layer.forward(scores, np.array([[1, 2]])) == pytest.approx((np.log(4) + np.log(2)) / 2)
    np.testing.assert_allclose(layer.backward(), [[[1 / 16, -6 / 16, 5 / 16], [1 / 8, 1 / 8, -2 / 8]]])


def test_equal_scores_lose_ln_v():
    assert SoftmaxWithLoss().forward(np.full((2, 3, 7), 4.0), np.zeros((2, 3), int)) == pytest.approx(np.log(7))


def test_large_scores_stay_finite():
    scores = np.array([[1e4, 0.0, -1e4]])
    np.testing.assert_array_equal(softmax(scores), [[1, 0, 0]])
    np.testing.assert_array_equal(log_softmax(scores), [[0, -1e4, -2e4]])
    assert SoftmaxWithLoss().forward(scores, np.array([2])) == 2e4


@pytest.mark.parametrize("shape", [(3,), (2, 5)])
def test_gradient_by_finite_differences(shape, rng, gradient_error):
    layer, scores, targets = SoftmaxWithLoss(), rng.normal(size=(*shape, 4)), rng.integers(4, size=shape)

    def loss() -> float:
        return layer.forward(scores, targets)

    loss()
    assert gradient_error(loss, scores, layer.backward()) <= 1e-8

import numpy as np
import pytest

from captioner.scratch.activations import sigmoid, tanh, tanh_derivative

X = np.linspace(-20, 20, 401)


def test_values_worked_by_hand():
    # e^(ln 2) = 2: tanh = (2 - 1/2) / (2 + 1/2), sigmoid = 1 / (1 + 1/2)
    assert tanh(np.log(2)) == pytest.approx(0.6)
    assert tanh_derivative(np.log(2)) == pytest.approx(0.64)
    assert sigmoid(np.log(2)) == pytest.approx(2 / 3)
    assert sigmoid(np.array(0.0)) == 0.5


def test_tanh_is_a_sigmoid_stretched_to_minus_one_and_one():
    np.testing.assert_allclose(tanh(X), 2 * sigmoid(2 * X) - 1, rtol=0, atol=1e-15)


def test_sigmoid_does_not_overflow():
    np.testing.assert_array_equal(sigmoid(np.array([-1e4, 1e4])), [0, 1])


def test_derivative_of_tanh(gradient_error):
    x = np.linspace(-3, 3, 13)
    assert gradient_error(lambda: tanh(x).sum(), x, tanh_derivative(x)) <= 1e-8

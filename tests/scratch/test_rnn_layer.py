import numpy as np
import pytest

from captioner.scratch.rnn_layer import RNN

N, D, H = 4, 10, 5


def test_numbers_worked_by_hand():
    # t = -2 ln 2 * 0.5 + 2 ln 2 * 1 = ln 2, tanh(ln 2) = 0.6, and 1 - 0.6² = 0.64
    two_ln_2 = 2 * np.log(2)
    rnn = RNN(np.array([[two_ln_2]]), np.array([[-two_ln_2]]), np.zeros(1))
    assert rnn.forward(np.array([[1.0]]), np.array([[0.5]])) == pytest.approx(0.6)
    dx, dh_prev = rnn.backward(np.array([[10.0]]))
    assert dx == pytest.approx(6.4 * two_ln_2)
    assert dh_prev == pytest.approx(-6.4 * two_ln_2)
    dWx, dWh, db = rnn.grads
    assert (dWx.item(), dWh.item(), db.item()) == pytest.approx((6.4, 3.2, 6.4))


def test_examples_do_not_mix_and_their_gradients_add_up(rng):
    params = rng.normal(size=(D, H)), rng.normal(size=(H, H)), rng.normal(size=H)
    x, h_prev, dh_next = rng.normal(size=(N, D)), rng.normal(size=(N, H)), rng.normal(size=(N, H))
    together = RNN(*params)
    h_next = together.forward(x, h_prev)
    dx, dh_prev = together.backward(dh_next)
    totals = [np.zeros_like(grad) for grad in together.grads]
    for n in range(N):
        one = RNN(*params)
        row = slice(n, n + 1)
        np.testing.assert_allclose(one.forward(x[row], h_prev[row]), h_next[row], rtol=1e-12)
        dx_one, dh_one = one.backward(dh_next[row])
        np.testing.assert_allclose(dx_one, dx[row], rtol=1e-12)
        np.testing.assert_allclose(dh_one, dh_prev[row], rtol=1e-12)
        for total, grad in zip(totals, one.grads, strict=True):
            total += grad
    for total, grad in zip(totals, together.grads, strict=True):
        np.testing.assert_allclose(total, grad, rtol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_gradients_by_finite_differences(seed, gradient_error):
    rng = np.random.default_rng(seed)
    Wx, Wh, b = 0.5 * rng.normal(size=(D, H)), 0.5 * rng.normal(size=(H, H)), rng.normal(size=H)
    x, h_prev, dh_next = 0.5 * rng.normal(size=(N, D)), rng.normal(size=(N, H)), rng.normal(size=(N, H))
    rnn = RNN(Wx, Wh, b)

    def loss() -> float:
        return (rnn.forward(x, h_prev) * dh_next).sum()

    loss()
    dx, dh_prev = rnn.backward(dh_next)
    for array, grad in zip([x, h_prev, *rnn.params], [dx, dh_prev, *rnn.grads], strict=True):
        assert gradient_error(loss, array, grad) <= 1e-8


def test_backward_overwrites_its_gradients_in_place(rng):
    rnn = RNN(rng.normal(size=(D, H)), rng.normal(size=(H, H)), rng.normal(size=H))
    collected = list(rnn.grads)
    rnn.forward(rng.normal(size=(N, D)), rng.normal(size=(N, H)))
    rnn.backward(np.ones((N, H)))
    first = [grad.copy() for grad in collected]
    rnn.backward(np.ones((N, H)))
    for grad, once in zip(collected, first, strict=True):
        assert once.any()
        np.testing.assert_array_equal(grad, once)

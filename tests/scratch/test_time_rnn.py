import numpy as np
import pytest

from captioner.scratch.rnn_layer import RNN
from captioner.scratch.time_rnn import TimeRNN

N, D, H = 2, 3, 4


@pytest.fixture
def params(rng) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return 0.5 * rng.normal(size=(D, H)), 0.5 * rng.normal(size=(H, H)), 0.5 * rng.normal(size=H)


def test_forward_is_one_step_after_another(params, rng):
    xs = rng.normal(size=(N, 5, D))
    hs = TimeRNN(*params).forward(xs)
    h = np.zeros((N, H))
    for t in range(5):
        h = RNN(*params).forward(xs[:, t], h)
        np.testing.assert_array_equal(hs[:, t], h)


def test_backward_of_two_steps_worked_by_hand():
    # Wx = 1, Wh = 2, b = 0, x = (ln 2, -1.2): h_1 = 0.6, h_2 = tanh(1.2 - 1.2) = 0, of slopes 0.64 and 1.
    # For L = h_2: dt_2 = 1, dh_1 = 1 * 2, dt_1 = 2 * 0.64.
    rnn = TimeRNN(np.array([[1.0]]), np.array([[2.0]]), np.zeros(1))
    hs = rnn.forward(np.array([[[np.log(2)], [-1.2]]]))
    np.testing.assert_allclose(hs, [[[0.6], [0]]], atol=1e-15)
    dxs = rnn.backward(np.array([[[0.0], [1.0]]]))
    np.testing.assert_allclose(dxs, [[[1.28], [1]]])
    dWx, dWh, db = rnn.grads
    assert (dWx.item(), dWh.item(), db.item()) == pytest.approx((1.28 * np.log(2) - 1.2, 0.6, 2.28))
    assert rnn.dh == pytest.approx(2.56)


@pytest.mark.parametrize("T", [5, 6, 7, 8])
@pytest.mark.parametrize("carried", [False, True])
def test_gradients_by_finite_differences(T, carried, params, rng, gradient_error):
    rnn = TimeRNN(*params, stateful=carried)
    xs, dhs = rng.normal(size=(N, T, D)), rng.normal(size=(N, T, H))
    start = np.zeros((N, H))
    if carried:
        rnn.forward(rng.normal(size=(N, T, D)))
        start = rnn.h.copy()
        assert start.any()

    def loss() -> float:
        rnn.h = start
        return (rnn.forward(xs) * dhs).sum()

    loss()
    dxs = rnn.backward(dhs)
    for array, grad in zip([xs, start, *rnn.params], [dxs, rnn.dh, *rnn.grads], strict=True):
        assert gradient_error(loss, array, grad) <= 5e-7


def test_carried_windows_are_one_long_window_but_for_the_gradient_over_the_edge(params, rng):
    xs, dhs = rng.normal(size=(N, 8, D)), rng.normal(size=(N, 8, H))
    long = TimeRNN(*params)
    hs = long.forward(xs)
    dxs = long.backward(dhs)

    first, second = TimeRNN(*params, stateful=True), TimeRNN(*params, stateful=True)
    np.testing.assert_array_equal(first.forward(xs[:, :3]), hs[:, :3])
    second.h = first.h
    np.testing.assert_array_equal(second.forward(xs[:, 3:]), hs[:, 3:])
    np.testing.assert_allclose(second.backward(dhs[:, 3:]), dxs[:, 3:], rtol=1e-12)
    cut = first.backward(dhs[:, :3])
    assert np.abs(cut - dxs[:, :3]).max() > 0.01

    # handing over what truncation drops makes it whole
    whole = dhs[:, :3].copy()
    whole[:, -1] += second.dh
    np.testing.assert_allclose(first.backward(whole), dxs[:, :3], rtol=1e-12)
    for one, other, total in zip(first.grads, second.grads, long.grads, strict=True):
        np.testing.assert_allclose(one + other, total, rtol=1e-10)


def test_the_state_is_carried_or_reset(params, rng):
    xs = rng.normal(size=(N, 3, D))
    from_zeros = TimeRNN(*params).forward(xs)
    carrying, forgetting = TimeRNN(*params, stateful=True), TimeRNN(*params)
    for rnn in (carrying, forgetting):
        np.testing.assert_array_equal(rnn.forward(xs), from_zeros)
    np.testing.assert_array_equal(carrying.h, from_zeros[:, -1])
    assert np.abs(carrying.forward(xs) - from_zeros).max() > 0.01
    np.testing.assert_array_equal(forgetting.forward(xs), from_zeros)
    carrying.reset_state()
    np.testing.assert_array_equal(carrying.forward(xs), from_zeros)


def test_a_state_of_other_examples_is_refused(params):
    rnn = TimeRNN(*params, stateful=True)
    rnn.forward(np.zeros((1, 3, D)))
    with pytest.raises(ValueError, match=r"`h` has the shape \(1, 4\), expected \(2, 4\).*reset_state"):
        rnn.forward(np.zeros((2, 3, D)))


def test_backward_overwrites_its_gradients_in_place(params, rng):
    rnn = TimeRNN(*params)
    collected = list(rnn.grads)
    rnn.forward(rng.normal(size=(N, 3, D)))
    rnn.backward(np.ones((N, 3, H)))
    first = [grad.copy() for grad in collected]
    rnn.backward(np.ones((N, 3, H)))
    for grad, once in zip(collected, first, strict=True):
        assert once.any()
        np.testing.assert_array_equal(grad, once)

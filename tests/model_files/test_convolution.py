import numpy as np
import pytest

from captioner.model_files.convolution import Convolution, Rounding


def test_folding_gives_what_convolution_and_normalisation_give():
    kernel = np.array([2.0, -4.0], np.float32).reshape(1, 1, 1, 2)  # one weight per channel
    norm = np.array([[1, 0], [3, -2], [4 - 1e-3, 16 - 1e-3]], np.float32)
    folded = Convolution.folded(kernel, norm)
    # 1 + (2 x - 3) / 2 = x - 0.5; (-4 x + 2) / 4 = -x + 0.5
    np.testing.assert_allclose(folded.kernel.ravel(), [1, -1], rtol=1e-6)
    np.testing.assert_allclose(folded.bias, [-0.5, 0.5], rtol=1e-6)


def test_a_kernel_is_turned_to_litert_order():
    kernel = np.arange(24, dtype=np.float32).reshape(2, 3, 1, 4)
    folded = Convolution.folded(kernel, np.array([[0] * 4, [0] * 4, [1] * 4], np.float32), epsilon=0)
    assert folded.kernel.shape == (4, 2, 3, 1)
    assert folded.kernel[1, 0, 2, 0] == kernel[0, 2, 0, 1]


def test_the_largest_weight_of_each_channel_becomes_127():
    kernel = np.array([[1.27, -0.5, 0.004], [-12.7, 0.04, 0.06]], np.float32).reshape(2, 1, 1, 3)
    values, scales, bias = Convolution(kernel, np.array([1, 2], np.float32)).quantized()
    assert values.dtype == np.int8
    assert values.reshape(2, 3).tolist() == [[127, -50, 0], [-127, 0, 1]]
    np.testing.assert_allclose(scales, [0.01, 0.1], rtol=1e-6)
    assert bias.tolist() == [1, 2]


def test_a_rounding_moves_steps_and_biases_and_narrows_channels():
    kernel = np.array([[1.27, -0.5, 0.004], [12.7, 0.04, 0.06]], np.float32).reshape(2, 1, 1, 3)
    steps = np.array([[0, 1, -1], [0, 0, 0]], np.int8).reshape(2, 1, 1, 3)
    rounding = Rounding(steps, np.array([False, True]), np.array([0.5, 0], np.float16))
    values, scales, bias = Convolution(kernel, np.array([1, 2], np.float32)).quantized(rounding)
    assert values.reshape(2, 3).tolist() == [[127, -49, -1], [127, 0, 1]]  # 12.7 / 0.085 = 149, cut off
    np.testing.assert_allclose(scales, [0.01, 0.085], rtol=1e-6)
    assert bias.tolist() == [1.5, 2]


def test_no_rounding_leads_past_what_int8_holds():
    kernel = np.array([1.27, -1.27], np.float32).reshape(1, 1, 1, 2)
    steps = np.array([100, -100], np.int8).reshape(1, 1, 1, 2)
    values, _, _ = Convolution(kernel, np.zeros(1, np.float32)).quantized(
        Rounding(steps, np.array([False]), np.zeros(1, np.float16))
    )
    assert values.ravel().tolist() == [127, -127]


def test_a_channel_of_zeros_stays_zeros():
    values, scales, _ = Convolution(np.zeros((1, 1, 1, 2), np.float32), np.zeros(1, np.float32)).quantized()
    assert values.ravel().tolist() == [0, 0]
    assert scales.tolist() == [1]


@pytest.mark.parametrize("seed", range(3))
def test_rounding_to_the_nearest_errs_by_half_a_step_at_most(seed):
    kernel = np.random.default_rng(seed).normal(size=(4, 3, 3, 5)).astype(np.float32)
    values, scales, _ = Convolution(kernel, np.zeros(4, np.float32)).quantized()
    steps = scales[:, None, None, None]
    assert (np.abs(values * steps - kernel) <= 0.5001 * steps).all()

"""GPTQ against its own definition: exhaustive search, and the error that plain rounding makes."""

import itertools

import keras
import numpy as np
import pytest

from captioner.model_files.convolution import Convolution
from captioner.model_files.roundings import kernel_key
from captioner.models.folding import convolutions
from captioner.training.fitting.gptq import Moments, find_roundings, round_kernel


def moments(patches: np.ndarray) -> Moments:
    found = Moments.of(patches.shape[1])
    found.add(patches)
    return found


def kernel_of(weights: np.ndarray) -> Convolution:
    return Convolution(weights.astype(np.float32).reshape(len(weights), 1, 1, -1), np.zeros(len(weights), np.float32))


def error(convolution: Convolution, patches: np.ndarray, rounding=None) -> np.ndarray:
    """Mean squared error of each channel's output."""
    values, scales, bias = convolution.quantized(rounding)
    change = values.reshape(len(values), -1) * scales[:, None] - convolution.kernel.reshape(len(values), -1)
    return np.square(patches @ change.T + bias).mean(0)


def test_independent_inputs_are_rounded_to_the_nearest():
    patches = np.array(list(itertools.product([-1.0, 1.0], repeat=4)))  # uncorrelated, of equal size
    convolution = kernel_of(np.random.default_rng(0).normal(size=(3, 4)))
    found = round_kernel(convolution, moments(patches))
    kept = ~found.narrow
    assert kept.any()
    assert not found.steps[kept].any()
    assert not found.shift.any()  # the inputs' mean is 0


def test_two_equal_inputs_share_their_error():
    patches = np.random.default_rng(0).normal(size=(100, 1)) * np.array([[1.0, 1.0, 0.01]])
    weights = np.array([[0.4, 0.4, 127.0]])  # a step is 1: each alone would become 0, together they are 0.8
    found = round_kernel(kernel_of(weights), moments(patches))
    values, _, _ = kernel_of(weights).quantized(found)
    assert values.ravel()[:2].sum() == 1


@pytest.mark.parametrize("seed", range(4))
def test_it_errs_less_than_plain_rounding_on_inputs_that_hang_together(seed):
    draw = np.random.default_rng(seed)
    patches = draw.normal(size=(2000, 6)) @ draw.normal(size=(6, 60)) + 0.1 * draw.normal(size=(2000, 60)) + 1
    convolution = kernel_of(draw.normal(size=(8, 60)))
    found = round_kernel(convolution, moments(patches))
    assert error(convolution, patches, found).mean() < 0.25 * error(convolution, patches).mean()


def test_a_bias_makes_up_for_the_mean_of_the_change():
    patches = np.abs(np.random.default_rng(1).normal(size=(5000, 30)))
    convolution = kernel_of(np.random.default_rng(2).normal(size=(4, 30)))
    found = round_kernel(convolution, moments(patches))
    values, scales, bias = convolution.quantized(found)
    change = values.reshape(4, -1) * scales[:, None] - convolution.kernel.reshape(4, -1)
    np.testing.assert_allclose(bias, -(patches.mean(0) @ change.T), atol=1e-3)


def test_an_input_that_is_always_zero_does_no_harm():
    patches = np.random.default_rng(0).normal(size=(200, 5))
    patches[:, 2] = 0
    convolution = kernel_of(np.random.default_rng(1).normal(size=(3, 5)))
    found = round_kernel(convolution, moments(patches))
    assert np.isfinite(error(convolution, patches, found)).all()


@pytest.mark.parametrize(("padding", "strides"), [("same", 2), ("valid", 2), ("same", 1), ("valid", 1)])
def test_a_network_is_rounded_to_what_it_sees(padding, strides):
    keras.utils.set_random_seed(3)
    image = keras.Input((13, 13, 3))
    x = keras.layers.Conv2D(24, 3, strides, padding, use_bias=False)(image)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(scale=False)(x))
    encoder = keras.Model(image, keras.layers.Conv2D(6, 3, padding=padding)(x))
    draw = np.random.default_rng(0)
    smooth = np.cumsum(draw.normal(size=(16, 13, 13, 3)), 1) / 4  # neighbours resemble each other, as in photos
    images = smooth.astype(np.float32)
    found = find_roundings(encoder, images)
    roundings = [found[kernel_key(each)] for each in convolutions(encoder)]
    wanted = encoder(images).numpy()

    def given(with_roundings) -> np.ndarray:
        other = keras.models.clone_model(encoder)
        other.set_weights(encoder.get_weights())
        for layer, each, rounding in zip(
            (layer for layer in other.layers if isinstance(layer, keras.layers.Conv2D)),
            convolutions(encoder),
            with_roundings,
            strict=True,
        ):
            values, scales, bias = each.quantized(rounding)
            kernel = (values * scales[:, None, None, None]).transpose(1, 2, 3, 0)
            norm = next((n for n in other.layers if isinstance(n, keras.layers.BatchNormalization)), None)
            if layer.use_bias:
                layer.set_weights([kernel, bias])
            else:  # fresh: mean 0, variance 1, so what was folded comes out again
                layer.set_weights([kernel * np.sqrt(1 + norm.epsilon)])
                norm.beta.assign(bias)
        return other(images).numpy()

    plain, better = (np.square(given(each) - wanted).mean() for each in ([None, None], roundings))
    assert better < 0.6 * plain


def test_kernels_whose_rounding_is_known_are_left_out():
    keras.utils.set_random_seed(3)
    image = keras.Input((9, 9, 3))
    layers = [keras.layers.Conv2D(4, 3), keras.layers.Conv2D(2, 3)]
    encoder = keras.Model(image, layers[1](layers[0](image)))
    images = np.random.default_rng(0).normal(size=(4, 9, 9, 3)).astype(np.float32)
    first, second = (kernel_key(each) for each in convolutions(encoder))
    assert find_roundings(encoder, images).keys() == {first, second}
    assert find_roundings(encoder, images, known={first}).keys() == {second}
    assert find_roundings(encoder, images, known={first, second}) == {}


def test_a_kernel_that_sees_too_much_is_left_out():
    image = keras.Input((55, 55, 3))
    encoder = keras.Model(image, keras.layers.Conv2D(2, 55)(image))  # 9,075 weights per channel
    assert find_roundings(encoder, np.zeros((1, 55, 55, 3), np.float32)) == {}

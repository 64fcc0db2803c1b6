import keras
import numpy as np
import pytest

from captioner.models.compact import build_compact
from captioner.models.folding import folded, half, rounded, unfold

SIZE = 48


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (16, SIZE, SIZE, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def encoder() -> keras.Model:
    """One whose normalisations change what they are given, as after a training."""
    keras.utils.set_random_seed(2)
    encoder = build_compact(SIZE)
    draw = np.random.default_rng(3)
    for weight in encoder.weights:
        kind = weight.path.split("/")[-1]
        if kind in ("gamma", "moving_variance"):
            weight.assign(draw.uniform(0.5, 2, weight.shape))
        elif kind in ("beta", "moving_mean", "bias"):
            weight.assign(draw.uniform(-0.3, 0.3, weight.shape))
    return encoder


def features(encoder, images, training=False):
    return keras.ops.convert_to_numpy(encoder(images, training=training))


def test_half_precision_rounds_to_nearest_and_holds_no_infinity():
    given = np.array([0.1, 1 + 2**-11, 1 + 3 * 2**-11, 70000.0, -1e9, 2.0**-24], np.float32)
    expected = [0.0999755859375, 1, 1 + 2**-9, 65504, -65504, 2.0**-24]  # halves go to the even neighbour
    np.testing.assert_array_equal(half(given), np.array(expected, np.float32))


def test_folding_changes_nothing_but_the_rounding(encoder, images):
    plain = folded(encoder)
    assert not [layer for layer in plain.layers if isinstance(layer, keras.layers.BatchNormalization)]
    expected = features(encoder, images)
    np.testing.assert_allclose(features(plain, images), expected, atol=3e-3 * np.abs(expected).max())
    for weight in plain.get_weights():
        np.testing.assert_array_equal(weight.astype(np.float16), weight)


def test_one_convolution_by_hand(encoder):
    stem, norm = encoder.get_layer("stem"), encoder.get_layer("stem_norm")
    gamma, beta, mean, variance = norm.get_weights()
    kernel, bias = folded(encoder).get_layer("stem").get_weights()
    sigma = np.sqrt(variance[5] + 1e-3)
    np.testing.assert_allclose(kernel[..., 5], stem.get_weights()[0][..., 5] * gamma[5] / sigma, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(bias[5], beta[5] - mean[5] * gamma[5] / sigma, rtol=1e-3)


def test_unfolded_it_gives_the_same_in_prediction_and_in_training(encoder, images):
    plain, again = folded(encoder), build_compact(SIZE)
    unfold(plain, again, images)
    expected = features(plain, images)
    for training in (False, True):
        tolerance = 1e-4 * np.abs(expected).max()
        np.testing.assert_allclose(features(again, images, training), expected, atol=tolerance)


def test_a_decoder_is_rounded_in_a_copy(network):
    model = network(dropout=0.2)
    before = model.named_weights()
    copy = rounded(model).named_weights()
    assert copy.keys() == before.keys()
    for name, values in before.items():
        np.testing.assert_array_equal(model.named_weights()[name], values)
        np.testing.assert_array_equal(copy[name], values.astype(np.float16).astype(np.float32))
    assert any((copy[name] != before[name]).any() for name in copy)

import keras
import numpy as np
import pytest

from captioner.models.compact import CHANNELS, SIZE, build_compact


@pytest.fixture(scope="module")
def encoder() -> keras.Model:
    keras.utils.set_random_seed(1)
    return build_compact()


def test_a_photo_becomes_a_grid(encoder):
    assert encoder.input_shape == (None, SIZE, SIZE, 3)
    assert encoder.output_shape == (None, 64, CHANNELS)


def test_it_is_small_and_quick(encoder):
    products = 0  # of a photo: a convolution's kernel is multiplied once a place, a dense layer's once
    for layer in encoder.layers:
        if isinstance(layer, keras.layers.Conv2D):
            products += int(np.prod(layer.output.shape[1:3])) * int(np.prod(layer.kernel.shape))
        elif isinstance(layer, keras.layers.Dense):
            products += int(np.prod(layer.kernel.shape))
    assert 2 * products <= 1e9
    assert encoder.count_params() <= 4_000_000
    others = {type(layer).__name__ for layer in encoder.layers if layer.count_params()}
    assert others == {"Conv2D", "Dense", "BatchNormalization"}  # of which the last is folded away


def test_a_place_knows_of_the_whole_photo(encoder):
    image = np.random.default_rng(2).uniform(-1, 1, (1, SIZE, SIZE, 3)).astype(np.float32)
    changed = image.copy()
    changed[:, -16:, -16:] *= -1
    before, after = (keras.ops.convert_to_numpy(encoder(each, training=False))[0] for each in (image, changed))
    moved = np.abs(after - before).mean(axis=-1).reshape(8, 8)
    assert moved[0, 0] > 0
    assert moved[7, 7] > 10 * moved[0, 0]  # but most of what lies at its own place


def test_another_size_gives_another_grid():
    assert build_compact(96).output_shape == (None, 25, CHANNELS)


def test_a_model_of_an_earlier_version_has_the_sizes_that_it_was_trained_with():
    assert build_compact(folded=True, channels=288).count_params() == 3_265_664  # as its metrics.json said
    with pytest.raises(ValueError, match="no compact encoder has 5 channels, only 304 or 288"):
        build_compact(channels=5)


def test_half_precision_keeps_its_statistics_in_float32():
    encoder = build_compact(48, "mixed_bfloat16")
    assert {keras.backend.standardize_dtype(weight.dtype) for weight in encoder.weights} == {"float32"}
    image = np.random.default_rng(3).uniform(-1, 1, (2, 48, 48, 3)).astype(np.float32)
    exact = build_compact(48)
    exact.set_weights(encoder.get_weights())
    half, whole = (keras.ops.convert_to_numpy(keras.ops.cast(each(image), "float32")) for each in (encoder, exact))
    np.testing.assert_allclose(half, whole, atol=0.05 * np.abs(whole).max())

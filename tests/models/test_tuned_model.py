import keras
import numpy as np
import pytest

from captioner.config.model import DecoderConfig, EncoderConfig, ModelConfig
from captioner.errors import CaptionerError
from captioner.models.encoder import build_encoder, last_layers
from captioner.models.tuned_model import TunedModel

WHOLE = EncoderConfig(feature_layer="mixed2", image_size=75, fine_tune_after="mixed1")
FIRST = EncoderConfig(feature_layer="mixed1", image_size=75)


@pytest.fixture(scope="module")
def encoder():
    keras.backend.clear_session()  # layers count from 0
    keras.utils.set_random_seed(3)
    encoder = build_encoder(WHOLE, None)
    rng = np.random.default_rng(3)
    for weight in encoder.weights:  # means and variances as training leaves them, not 0 and 1
        if "moving" in weight.path:
            weight.assign(rng.uniform(0.05, 0.2, weight.shape))
    return encoder


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).uniform(-1, 1, (2, 75, 75, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def grid(encoder, images):
    first = build_encoder(FIRST, None)
    first.set_weights(encoder.get_weights()[: len(first.weights)])
    return first(images).numpy()


def test_the_first_layers_and_the_last_are_the_whole(encoder, images, grid):
    last = last_layers(encoder, "mixed1")
    assert grid.shape == (2, 49, 288)
    np.testing.assert_allclose(last(grid).numpy(), encoder(images).numpy(), rtol=1e-5, atol=1e-6)


def test_the_last_layers_share_their_weights_with_the_encoder(encoder):
    last = last_layers(encoder, "mixed1")
    ours, theirs = {weight.path for weight in last.weights}, {weight.path for weight in encoder.weights}
    assert ours < theirs
    # mixed2 (Szegedy et al. 2016, figure 5): 1x1; 1x1, 5x5; 1x1, 3x3, 3x3; pool, 1x1
    kernels = 288 * 64 + 288 * 48 + 25 * 48 * 64 + 288 * 64 + 9 * 64 * 96 + 9 * 96 * 96 + 288 * 64
    assert last.count_params() == kernels + 3 * (64 + 48 + 64 + 64 + 96 + 96 + 64)  # shift, mean, variance


def test_they_are_found_behind_what_other_networks_want_done_to_pixels():
    config = EncoderConfig("MobileNetV3Small", "last", 64)
    encoder = build_encoder(config, None)
    last = last_layers(encoder, "expanded_conv_9_add")
    assert last.output_shape == encoder.output_shape


@pytest.mark.parametrize(
    ("after", "message"),
    [
        ("mixed9", r"no layer 'mixed9' with a grid of features; expected one such as mixed0, mixed1, mixed2"),
        ("mixed2", r"no layer behind 'mixed2' has weights that could be tuned; name an earlier one"),
        ("activation_14", r"the layers behind 'activation_14' read others before it too; name the end of a block"),
    ],
)
def test_where_the_encoder_cannot_be_cut(encoder, after, message):
    with pytest.raises(CaptionerError, match=f"--fine-tune-after: .*{message}"):
        last_layers(encoder, after)


@pytest.fixture(scope="module")
def tuned(encoder):
    keras.utils.set_random_seed(4)
    network = TunedModel(ModelConfig(WHOLE, DecoderConfig("rnn", 8, 6, 5, 0.0, 9, 49, 288)))
    network.layers_behind.set_weights(last_layers(encoder, "mixed1").get_weights())
    return network


def test_it_predicts_what_the_decoder_does_of_the_whole_encoder(encoder, tuned, images, grid):
    tokens = np.array([[[1, 4, 5]], [[1, 6, 7]]], np.int32)
    expected = tuned.captioner({"features": encoder(images), "tokens": tokens})
    np.testing.assert_allclose(tuned({"features": grid, "tokens": tokens}), expected, rtol=1e-4, atol=1e-6)


def test_training_keeps_the_means_and_variances(tuned, grid):
    inputs = {"features": grid, "tokens": np.array([[[1, 4, 5]], [[1, 6, 7]]], np.int32)}
    before = [weight.numpy() for weight in tuned.layers_behind.non_trainable_weights]
    np.testing.assert_array_equal(tuned(inputs, training=True), tuned(inputs))
    for old, new in zip(before, tuned.layers_behind.non_trainable_weights, strict=True):
        np.testing.assert_array_equal(old, new)
    kinds = {weight.path.split("/")[-1] for weight in tuned.layers_behind.trainable_weights}
    assert kinds == {"kernel", "beta"}


def test_it_is_built_again_from_its_configuration(tuned, grid):
    copy = TunedModel.from_config(tuned.get_config())
    copy.set_weights(tuned.get_weights())
    inputs = {"features": grid, "tokens": np.array([[[1, 4]], [[1, 6]]], np.int32)}
    np.testing.assert_array_equal(copy(inputs), tuned(inputs))

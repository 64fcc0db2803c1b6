import os
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest

from captioner.config.model import EncoderConfig
from captioner.errors import CaptionerError
from captioner.model_files.encoder_weights import weights_of
from captioner.models.encoder import build_encoder, weights_fingerprint


@pytest.fixture(scope="session")
def inception():
    """The whole trunk, random, once: building it takes 2 s."""
    return keras.applications.InceptionV3(include_top=False, weights=None, input_shape=(75, 75, 3))


@pytest.fixture(scope="session")
def mixed2() -> keras.Model:
    keras.utils.set_random_seed(1)  # other weights than `inception` has, whichever test is first
    return build_encoder(EncoderConfig(feature_layer="mixed2", image_size=75), weights=None)


@pytest.fixture
def stand_in(monkeypatch):
    """A network of two layers in the place of InceptionV3; what its weights are asked for is kept."""
    asked = []

    def application(include_top, weights, input_shape):
        assert include_top is False
        asked.append(weights)
        image = keras.Input(input_shape)
        x = keras.layers.Conv2D(4, 3, strides=8, name="mixed2")(image)
        x = keras.layers.Conv2D(5, 3, strides=2, name="mixed8")(x)
        network = keras.Model(image, keras.layers.GlobalAveragePooling2D(name="pool")(x))
        if weights is not None:
            network.set_weights([np.full(weight.shape, 0.25) for weight in network.weights])
        return network

    monkeypatch.setattr(keras.applications, "InceptionV3", application)
    return asked


SMALL = EncoderConfig(feature_layer="mixed8", image_size=75)


def test_the_grid_of_mixed8():
    encoder = build_encoder(EncoderConfig(), weights=None)
    assert encoder.input_shape == (None, 299, 299, 3)
    assert encoder.output_shape == (None, 64, 1280)
    assert encoder.trainable_variables == []
    assert not encoder.name.startswith("functional")


def test_the_grid_of_another_layer_and_size(mixed2):
    assert mixed2.output_shape == (None, 49, 288)
    images = np.random.default_rng(18).uniform(-1, 1, (2, 75, 75, 3)).astype(np.float32)
    features = keras.ops.convert_to_numpy(mixed2(images, training=False))
    assert features.shape == (2, 49, 288)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    assert features.std() > 0


def test_places_stand_row_by_row(mixed2):
    """Place 7 r + c is row r, column c: what changes in the photo's top right corner changes place 6."""
    image = np.zeros((1, 75, 75, 3), np.float32)
    changed = image.copy()
    changed[0, :8, -8:] = 1
    before, after = (keras.ops.convert_to_numpy(mixed2(each, training=False)) for each in (image, changed))
    moved = np.abs(after - before)[0].max(axis=1).reshape(7, 7)
    row, column = np.unravel_index(moved.argmax(), moved.shape)
    assert row <= 1
    assert column >= 5
    assert moved[0, 6] > 5 * moved[6, 0]


def test_the_fingerprint_knows_nothing_of_random_numbers():
    """Dropout has a state that is different in every process; a fingerprint that told of it found no cache again."""
    one, other = (keras.Sequential([keras.Input((2,)), keras.layers.Dropout(0.5)]) for _ in range(2))
    states = [keras.ops.convert_to_numpy(model.variables[0]) for model in (one, other)]
    assert (states[0] != states[1]).any()
    assert weights_fingerprint(one) == weights_fingerprint(other)


def test_the_fingerprint_knows_every_weight(mixed2):
    before = weights_fingerprint(mixed2)
    assert len(before) == 32
    assert weights_fingerprint(mixed2) == before
    last = mixed2.weights[-1]
    value = keras.ops.convert_to_numpy(last).copy()
    try:
        last.assign(value + np.eye(1, value.size)[0].reshape(value.shape))
        assert weights_fingerprint(mixed2) != before
    finally:
        last.assign(value)
    assert weights_fingerprint(mixed2) == before


@pytest.mark.parametrize("name", ["mixed99", "", "avg_pool", "__class__"])
def test_an_unknown_layer_is_refused(stand_in, name):
    with pytest.raises(CaptionerError, match=rf"--feature-layer: InceptionV3 has no layer '{name}'.*mixed2, mixed8"):
        build_encoder(EncoderConfig(feature_layer=name, image_size=75), weights=None)


def test_a_layer_without_a_grid_is_refused(stand_in):
    with pytest.raises(
        CaptionerError, match="no layer 'pool' with a grid of features; expected one such as last or mixed2"
    ):
        build_encoder(EncoderConfig(feature_layer="pool", image_size=75), weights=None)


def test_an_unknown_network_is_refused():
    with pytest.raises(CaptionerError, match=r"expected one of InceptionV3, .*, found 'InceptionV9'"):
        build_encoder(EncoderConfig(network="InceptionV9"), weights=None)


def test_weights_from_a_file_are_those_in_it(inception, mixed2, tmp_path):
    path = tmp_path / "trunk.weights.h5"
    inception.save_weights(path)
    encoder = build_encoder(EncoderConfig(feature_layer="mixed2", image_size=75), path)
    assert weights_fingerprint(encoder) != weights_fingerprint(mixed2)
    trunk = keras.Model(inception.input, inception.get_layer("mixed2").output)
    images = np.random.default_rng(18).uniform(-1, 1, (1, 75, 75, 3)).astype(np.float32)
    np.testing.assert_allclose(encoder(images)[0], keras.ops.reshape(trunk(images), (49, 288)), atol=1e-6)


def test_a_missing_file_is_named(stand_in, tmp_path):
    for path in (tmp_path / "nothing.h5", tmp_path):
        with pytest.raises(CaptionerError, match=rf"--encoder-weights: {path} is not a file; expected InceptionV3's"):
            build_encoder(SMALL, path)


@pytest.mark.parametrize("name", ["weights.h5", "trunk.weights.h5", "weights.txt", "weights"])
def test_a_file_that_is_no_hdf5_is_refused(stand_in, tmp_path, name):
    path = tmp_path / name
    path.write_text("no HDF5", encoding="utf-8")
    with pytest.raises(CaptionerError, match=rf"--encoder-weights: {path} does not hold the weights of InceptionV3"):
        build_encoder(SMALL, path)


def test_the_environment_names_weights_of_inception_alone(monkeypatch, tmp_path, caplog):
    path = str(tmp_path / "inception.h5")
    monkeypatch.setenv("CAPTIONER_ENCODER_WEIGHTS", path)
    with caplog.at_level("INFO", "captioner"):
        assert weights_of("InceptionV3", path) == path
        assert weights_of("VGG16", "other.h5") == "other.h5"
        assert caplog.messages == []
        assert weights_of("VGG16", path) == "imagenet"
    assert caplog.messages == [
        "VGG16 reads with Keras's own weights; $CAPTIONER_ENCODER_WEIGHTS is for InceptionV3 alone"
    ]


@pytest.mark.parametrize("name", ["other.weights.h5", "other.h5"])
def test_weights_of_another_network_are_refused(stand_in, tmp_path, name):
    path = tmp_path / name
    other = keras.Sequential([keras.Input((75, 75, 3)), keras.layers.Conv2D(4, 5), keras.layers.Conv2D(3, 3)])
    other.save_weights(path) if name.endswith(".weights.h5") else write_legacy(other, path)
    expected = rf"{path} does not hold the weights of InceptionV3 without top \(.+\); name a file of this network"
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always")
        with pytest.raises(CaptionerError, match=expected):
            build_encoder(SMALL, path)
    assert not [each for each in remarks if issubclass(each.category, UserWarning)]


def write_legacy(network: keras.Model, path: Path) -> None:
    """The layout of the weights that keras.applications downloads: a group for each layer."""
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in network.layers]
        for layer in network.layers:
            group = file.create_group(layer.name)
            group.attrs["weight_names"] = [weight.name.encode() for weight in layer.weights]
            for weight in layer.weights:
                group[weight.name] = keras.ops.convert_to_numpy(weight)


def test_weights_of_the_older_layout(stand_in, tmp_path):
    given = keras.applications.InceptionV3(include_top=False, weights="anything", input_shape=(75, 75, 3))
    write_legacy(given, tmp_path / "notop.h5")
    encoder = build_encoder(SMALL, str(tmp_path / "notop.h5"))
    for weight in encoder.weights:
        np.testing.assert_array_equal(weight, np.full(weight.shape, 0.25))


def test_imagenet_weights_are_those_of_keras(stand_in):
    encoder = build_encoder(SMALL)
    assert stand_in == ["imagenet"]
    for weight in encoder.weights:
        np.testing.assert_array_equal(weight, np.full(weight.shape, 0.25))


@pytest.mark.parametrize(
    "failure",
    [
        Exception("URL fetch failure on https://example.org/weights.h5: None -- [Errno -2] Name or service not known"),
        ValueError("Incomplete or corrupted file detected.\nThe md5 file hash does not match"),
        OSError(28, "No space left on device"),
        KeyError(),
    ],
)
def test_a_download_that_fails_names_the_remedy(stand_in, monkeypatch, capsys, failure):
    offline = keras.applications.InceptionV3

    def application(include_top, weights, input_shape):
        if weights == "imagenet":
            print("Downloading data")
            raise failure
        return offline(include_top, weights, input_shape)

    monkeypatch.setattr(keras.applications, "InceptionV3", application)
    with pytest.raises(CaptionerError, match="could not be downloaded") as error:
        build_encoder(SMALL)
    for remedy in ("run the same command again", "--encoder-weights FILE", "CAPTIONER_ENCODER_WEIGHTS", "notop.h5"):
        assert remedy in str(error.value)
    assert "\n" not in str(error.value)
    output = capsys.readouterr()
    assert output.out == ""
    assert "Downloading data" in output.err


@pytest.mark.data
@pytest.mark.skipif(not os.environ.get("CAPTIONER_ENCODER_WEIGHTS"), reason="CAPTIONER_ENCODER_WEIGHTS is not set")
def test_real_weights_see_photos_apart():
    encoder = build_encoder(EncoderConfig(), os.environ["CAPTIONER_ENCODER_WEIGHTS"])
    draw = np.random.default_rng(19)
    images = np.repeat(np.repeat(draw.uniform(-1, 1, (2, 13, 13, 3)), 23, axis=1), 23, axis=2).astype(np.float32)
    features = keras.ops.convert_to_numpy(encoder(images, training=False))
    assert features.shape == (2, 64, 1280)
    assert features.min() >= 0  # behind a ReLU
    means = features.mean(axis=(1, 2))
    assert ((means > 0.05) & (means < 2)).all()
    assert np.abs(features[0] - features[1]).max() > 1


@pytest.mark.parametrize(
    ("name", "prepared"),
    [
        ("VGG16", lambda pixels: pixels[..., ::-1] - np.array([103.939, 116.779, 123.68], np.float32)),
        ("MobileNetV2", lambda pixels: pixels / np.float32(127.5) - 1),
    ],
)
def test_other_networks_get_the_pixels_that_they_were_made_for(name, prepared):
    encoder = build_encoder(EncoderConfig(name, "last", 96), weights=None)
    network = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(96, 96, 3))
    network.set_weights(encoder.get_weights())
    pixels = np.random.default_rng(20).integers(0, 256, (2, 96, 96, 3)).astype(np.float32)
    expected = keras.ops.convert_to_numpy(network(prepared(pixels), training=False))
    found = keras.ops.convert_to_numpy(encoder(pixels / 127.5 - 1, training=False))
    assert found.shape == (2, 9, expected.shape[-1])
    np.testing.assert_allclose(found, expected.reshape(found.shape), rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_a_network_that_is_none_and_a_size_too_small_for_one_are_named():
    with pytest.raises(CaptionerError, match="--encoder: expected one of InceptionV3, compact"):
        build_encoder(EncoderConfig("mixed8", "last", 96), weights=None)
    config = EncoderConfig("Xception", "last", 75)
    object.__setattr__(config, "image_size", 70)  # smaller than any configuration may say
    with pytest.raises(CaptionerError, match="--encoder Xception --image-size 70"):
        build_encoder(config, weights=None)

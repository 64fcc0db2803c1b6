import keras
import numpy as np

from captioner.export.litert import convert_encoder
from captioner.runtime.encoder import LiteRTEncoder


def make_encoder() -> keras.Model:
    """Images (B, 75, 75, 3) to features (B, 4, 6), of the kinds of layers that InceptionV3 has."""
    image = keras.Input((75, 75, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, use_bias=False)(image)
    x = keras.layers.Activation("relu")(keras.layers.BatchNormalization(scale=False)(x))
    x = keras.layers.concatenate([x, keras.layers.AveragePooling2D(3, 1, "same")(x)])
    model = keras.Model(image, keras.layers.Reshape((4, 6))(keras.layers.Conv2D(6, 18, strides=18)(x)))
    draw = np.random.default_rng(21)
    model.set_weights([draw.uniform(0.1, 0.5, weight.shape) for weight in model.weights])
    return model


def test_features_are_those_of_keras(capfd):
    encoder = make_encoder()
    litert = LiteRTEncoder(convert_encoder(encoder))
    capfd.readouterr()  # the converter's remarks, which the library keeps from people
    assert (litert.image_size, litert.feature_shape) == (75, (4, 6))
    images = np.random.default_rng(1).uniform(-1, 1, (3, 75, 75, 3)).astype(np.float32)
    expected = keras.ops.convert_to_numpy(encoder(images, training=False))
    for image, features in zip(images, expected, strict=True):
        found = litert(image)
        np.testing.assert_allclose(found, features, atol=1e-5 * np.abs(features).max())
        np.testing.assert_array_equal(litert(image, among_others=True), found)
    assert capfd.readouterr() == ("", "")

import keras
import numpy as np

from captioner.export.litert import convert_encoder
from captioner.runtime.encoder import LiteRTEncoder


def test_features_are_those_of_keras(layered_encoder, capfd):
    litert = LiteRTEncoder(convert_encoder(layered_encoder))
    capfd.readouterr()  # the converter's remarks, which the library keeps from people
    assert (litert.image_size, litert.feature_shape) == (75, (4, 6))
    images = np.random.default_rng(1).uniform(-1, 1, (3, 75, 75, 3)).astype(np.float32)
    expected = keras.ops.convert_to_numpy(layered_encoder(images, training=False))
    for image, features in zip(images, expected, strict=True):
        found = litert(image)
        np.testing.assert_allclose(found, features, atol=1e-5 * np.abs(features).max())
        np.testing.assert_array_equal(litert(image, single_threaded=True), found)
    assert capfd.readouterr() == ("", "")

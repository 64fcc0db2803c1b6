import numpy as np
from PIL import Image

from captioner.photos.preprocessing import preprocess, scale


def test_preprocess_maps_black_to_minus_one_and_white_to_one():
    for value, expected in ((0, -1.0), (255, 1.0), (51, -0.6)):
        pixels = preprocess(np.full((4, 7, 3), value, np.uint8))
        assert (pixels.shape, pixels.dtype) == ((299, 299, 3), np.float32)
        np.testing.assert_allclose(pixels, expected, atol=1e-6)


def test_preprocess_interpolates_between_pixel_centres():
    # Columns of centres 0.25, 0.75, 1.25, 1.75 between pixels of centres 0.5 and 1.5: 0, 1/4, 3/4 and all of 200
    row = preprocess(np.uint8([[[0] * 3, [200] * 3]]), size=4)[0, :, 0]
    np.testing.assert_allclose((row + 1) * 127.5, [0, 50, 150, 200], atol=1e-4)


def test_preprocess_goes_across_first_whatever_the_shape():
    tall = np.random.default_rng(5).integers(0, 256, (400, 100, 3), np.uint8)
    rows = np.asarray(Image.fromarray(tall).resize((50, 400), Image.Resampling.BILINEAR))
    expected = np.asarray(Image.fromarray(rows).resize((50, 50), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(preprocess(tall, 50), scale(expected))


def test_preprocess_squashes_and_keeps_the_channels_apart():
    photo = np.zeros((2, 100, 3), np.uint8)
    photo[..., 2] = 255
    assert preprocess(photo, size=2).tolist() == [[[-1.0, -1.0, 1.0]] * 2] * 2


def test_preprocess_shrinks_with_antialiasing():
    checks = np.indices((400, 400)).sum(0) % 2 * 255
    photo = np.repeat(checks[:, :, None], 3, axis=2).astype(np.uint8)
    # Without a filter as wide as the step, each pixel would be wholly black or white
    np.testing.assert_allclose(preprocess(photo, size=20), 0, atol=0.06)

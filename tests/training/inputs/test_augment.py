import numpy as np

from captioner.training.inputs.augment import ImageDataset, augment
from captioner.training.inputs.views import Views


def test_a_batch_depends_on_its_random_numbers_alone():
    pixels = np.random.default_rng(2).integers(0, 256, (5, 32, 32, 3), np.uint8)
    photos = ImageDataset(pixels, 24, Views.draw(5, 3, 0))
    rows = np.array([4, 0, 2])
    first, again, other = (photos.batch(rows, np.random.default_rng(seed)) for seed in (7, 7, 8))
    for name in ("images", "transforms", "colours", "views"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert not np.array_equal(first.images, other.images)
    assert first.images.shape == (3, 24, 24, 3)
    assert first.images.dtype == np.uint8
    assert first.arrays() == {"images": first.images, "transforms": first.transforms, "colours": first.colours}


def test_nothing_changes_what_is_neither_turned_nor_recoloured():
    images = np.random.default_rng(4).integers(0, 256, (2, 9, 9, 3), np.uint8)
    transforms = np.tile(np.float32([1, 0, 0, 0, 1, 0, 0, 0]), (2, 1))
    colours = np.tile(np.eye(4, 3, dtype=np.float32), (2, 1, 1))
    np.testing.assert_allclose(augment(images, transforms, colours), images / np.float32(127.5) - 1, atol=1e-6)


def test_colours_are_mixed_and_turns_are_about_the_middle():
    images = np.zeros((1, 9, 9, 3), np.uint8)
    images[0, 4, 4] = [255, 0, 0]
    images[0, 1, 4] = [0, 0, 255]
    turned = np.float32([[0, -1, 8, 1, 0, 0, 0, 0]])  # a quarter turn: (x, y) comes from (8 - y, x)
    swap = np.float32([[[0, 0, 1], [0, 1, 0], [1, 0, 0], [0, 0, 0]]])
    result = np.asarray(augment(images, turned, swap))[0]
    assert result[4, 4].tolist() == [-1, -1, 1]  # red in the middle has become blue, and stays
    assert [tuple(place) for place in np.argwhere(result[..., 0] == 1)] == [(4, 1)]
    drawn = ImageDataset(images, 9, None).batch(np.zeros(200, int), np.random.default_rng(1))
    a, b, c, d, e, f = drawn.transforms[:, :6].T
    middle = 4.0
    np.testing.assert_allclose(a * middle + b * middle + c, middle, atol=1e-5)
    np.testing.assert_allclose(d * middle + e * middle + f, middle, atol=1e-5)


def test_grey_stays_grey_but_for_the_tint():
    photos = ImageDataset(np.zeros((1, 9, 9, 3), np.uint8), 9, None)
    colours = photos.batch(np.zeros(100, int), np.random.default_rng(2)).colours
    grey = np.array([0.5, 0.5, 0.5, 1.0]) @ colours  # (B, 3)
    assert np.abs(grey - grey.mean(axis=1, keepdims=True)).max() < 0.1

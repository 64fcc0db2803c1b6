import numpy as np

from captioner.runtime.uniforms import photo_key, uniforms

PHOTOS = np.random.default_rng(1).integers(256, size=(3, 5, 5, 3)).astype(np.uint8)
KEYS = [photo_key(photo) for photo in PHOTOS]


def test_numbers_follow_from_seed_photo_and_place_alone():
    numbers = uniforms(7, KEYS, 3, 9)
    assert numbers.shape == (3, 3, 9)
    assert 0 <= numbers.min() < numbers.max() < 1
    np.testing.assert_array_equal(uniforms(7, KEYS[1:2], 2, 4), numbers[1:2, :2, :4])
    np.testing.assert_array_equal(uniforms(7, KEYS[::-1], 3, 9), numbers[::-1])
    assert len(np.unique(numbers)) == numbers.size
    assert not np.isin(uniforms(8, KEYS, 3, 9), numbers).any()


def test_without_a_seed_each_call_gives_others():
    assert not np.isin(uniforms(None, KEYS, 1, 9), uniforms(None, KEYS, 1, 9)).any()


def test_the_key_is_that_of_the_pixels_however_they_lie_in_memory():
    flipped = PHOTOS[0][:, ::-1]
    assert photo_key(flipped) == photo_key(flipped.copy()) != KEYS[0]
    assert len(set(KEYS)) == 3

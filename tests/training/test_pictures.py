import numpy as np
import pytest
from PIL import Image

from captioner.data.photos import preprocess
from captioner.training.pictures import Pictures, read_pixels, seen
from captioner.training.views import LEAST_SIDE, Views, cut


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)


def test_the_whole_is_resized_as_prediction_does(photo):
    whole = cut(photo, np.array([0.0, 0.0, 1.0, 1.0]), False, 24)
    np.testing.assert_array_equal(whole / np.float32(127.5) - np.float32(1), preprocess(photo, 24))


def test_a_part_is_that_part():
    photo = np.zeros((40, 60, 3), np.uint8)
    photo[10:30, 15:45] = 200
    part = cut(photo, np.array([0.25, 0.25, 0.75, 0.75]), False, 8)
    np.testing.assert_array_equal(part[1:-1, 1:-1], 200)  # the filter also sees a little of what is beside it
    assert part.min() > 100


def test_a_mirrored_part_is_seen_from_behind(photo):
    box = np.array([0.1, 0.2, 0.9, 1.0])
    np.testing.assert_array_equal(cut(photo, box, True, 16), cut(photo, box, False, 16)[:, ::-1])


def test_views_are_the_whole_its_mirror_image_and_parts():
    views = Views.draw(50, 4, seed=3)
    np.testing.assert_array_equal(views.boxes[:, :2], np.broadcast_to([0.0, 0.0, 1.0, 1.0], (50, 2, 4)))
    assert not views.mirrored[:, 0].any()
    assert views.mirrored[:, 1].all()
    sides = views.boxes[:, 2:, 2:] - views.boxes[:, 2:, :2]
    assert sides.min() >= LEAST_SIDE
    assert views.boxes.min() >= 0
    assert views.boxes.max() <= 1
    again = Views.draw(50, 4, seed=3)
    np.testing.assert_array_equal(views.boxes, again.boxes)
    assert not np.array_equal(views.boxes, Views.draw(50, 4, seed=4).boxes)


def test_parts_are_retouched_where_that_is_wanted():
    photo = np.random.default_rng(1).integers(60, 200, (40, 30, 3), np.uint8)
    plain, retouched = (Views.draw(1, 3, seed=3, retouch=each) for each in (False, True))
    np.testing.assert_array_equal(plain.boxes, retouched.boxes)
    assert plain.fingerprint() != retouched.fingerprint()
    for view in (0, 1):
        np.testing.assert_array_equal(retouched.of(photo, 0, view, 16), plain.of(photo, 0, view, 16))
    brighter = Views(plain.boxes, plain.mirrored, np.array([[[1, 1, 1], [1, 1, 1], [1.0, 1.0, 1.25]]]))
    part = plain.of(photo, 0, 2, 16)
    np.testing.assert_array_equal(brighter.of(photo, 0, 2, 16), np.minimum(part * 1.25, 255).astype(np.uint8))
    blurred = Views(plain.boxes, plain.mirrored, np.array([[[1, 1, 1], [1, 1, 1], [0.4, 1.0, 1.0]]]))
    assert np.std(blurred.of(photo, 0, 2, 16)) < np.std(part)


def test_one_view_is_the_whole():
    views = Views.draw(3, 1, seed=0)
    np.testing.assert_array_equal(views.boxes, np.broadcast_to([0.0, 0.0, 1.0, 1.0], (3, 1, 4)))
    assert not views.mirrored.any()


def test_a_look_depends_on_its_random_numbers_alone():
    pixels = np.random.default_rng(2).integers(0, 256, (5, 32, 32, 3), np.uint8)
    pictures = Pictures(pixels, 24, Views.draw(5, 3, 0))
    rows = np.array([4, 0, 2])
    first, again, other = (pictures.look(rows, np.random.default_rng(seed)) for seed in (7, 7, 8))
    for name in ("images", "turns", "colours", "views"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert not np.array_equal(first.images, other.images)
    assert first.images.shape == (3, 24, 24, 3)
    assert first.images.dtype == np.uint8


def test_nothing_changes_what_is_neither_turned_nor_recoloured():
    images = np.random.default_rng(4).integers(0, 256, (2, 9, 9, 3), np.uint8)
    turns = np.tile(np.float32([1, 0, 0, 0, 1, 0, 0, 0]), (2, 1))
    colours = np.tile(np.eye(4, 3, dtype=np.float32), (2, 1, 1))
    np.testing.assert_allclose(seen(images, turns, colours), images / np.float32(127.5) - 1, atol=1e-6)


def test_colours_are_mixed_and_turns_are_about_the_middle():
    images = np.zeros((1, 9, 9, 3), np.uint8)
    images[0, 4, 4] = [255, 0, 0]
    images[0, 1, 4] = [0, 0, 255]
    pictures = Pictures(images, 9, None)
    turned = np.float32([[0, -1, 8, 1, 0, 0, 0, 0]])  # a quarter turn: (x, y) comes from (8 - y, x)
    swap = np.float32([[[0, 0, 1], [0, 1, 0], [1, 0, 0], [0, 0, 0]]])
    result = np.asarray(seen(images, turned, swap))[0]
    assert result[4, 4].tolist() == [-1, -1, 1]  # red in the middle has become blue, and stays
    assert [tuple(place) for place in np.argwhere(result[..., 0] == 1)] == [(4, 1)]
    look = pictures.look(np.zeros(200, int), np.random.default_rng(1))
    a, b, c, d, e, f = look.turns[:, :6].T
    middle = 4.0
    np.testing.assert_allclose(a * middle + b * middle + c, middle, atol=1e-5)
    np.testing.assert_allclose(d * middle + e * middle + f, middle, atol=1e-5)


def test_grey_stays_grey_but_for_the_tint():
    pictures = Pictures(np.zeros((1, 9, 9, 3), np.uint8), 9, None)
    colours = pictures.look(np.zeros(100, int), np.random.default_rng(2)).colours
    grey = np.array([0.5, 0.5, 0.5, 1.0]) @ colours  # (B, 3)
    assert np.abs(grey - grey.mean(axis=1, keepdims=True)).max() < 0.1


def test_pixels_are_kept_and_broken_photos_named(tmp_path, monkeypatch, photo):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    paths = [tmp_path / "good.png", tmp_path / "broken.png"]
    Image.fromarray(photo).save(paths[0])
    paths[1].write_bytes(b"no photo")
    pixels, bad = read_pixels(paths, 16)
    np.testing.assert_array_equal(pixels[0], cut(photo, np.array([0.0, 0.0, 1.0, 1.0]), False, 16))
    assert list(bad) == [1]
    assert "broken.png" in bad[1]
    monkeypatch.setattr(
        "captioner.training.pictures.open_photo", lambda path, **options: 1 / 0 if path == paths[0] else photo
    )
    pixels, bad = read_pixels(paths, 16)  # the good one comes from the cache, the other is tried again
    assert bad == {}
    np.testing.assert_array_equal(pixels[1], pixels[0])

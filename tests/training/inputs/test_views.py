import numpy as np
import pytest

from captioner.photos.preprocessing import preprocess
from captioner.training.inputs.views import LEAST_SIDE, Views, cut


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

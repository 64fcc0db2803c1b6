from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from captioner.config.model import DecoderConfig
from captioner.errors import CaptionerError
from captioner.export.litert import convert_encoder
from captioner.models.captioner import CaptionModel
from captioner.runtime.encoder import LiteRTEncoder
from captioner.training.inputs.augment import ImageDataset
from captioner.training.inputs.teacher_regions import TaughtImages, Teacher, TeacherRegions, read_teacher_regions
from captioner.training.inputs.views import Views

SIZE, REGIONS, UNITS = 32, 1, 8


@pytest.fixture
def teacher() -> Teacher:
    """What it sees of a photo is the mean of its colours."""
    image = keras.Input((SIZE, SIZE, 3))
    mean = keras.layers.GlobalAveragePooling2D(keepdims=True)(image)
    encoder = LiteRTEncoder(convert_encoder(keras.Model(image, keras.layers.Reshape((REGIONS, 3))(mean))))
    return Teacher(encoder, "0", "mean", CaptionModel(DecoderConfig("rnn", UNITS, 6, 5, 0.0, 9, REGIONS, 3)))


@pytest.fixture
def photos(tmp_path, monkeypatch) -> list[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    colours = np.random.default_rng(5).integers(0, 256, (8, 3))
    paths = [tmp_path / f"{number}.png" for number in range(8)]
    for path, colour in zip(paths, colours.tolist(), strict=True):
        Image.new("RGB", (40, 30), tuple(colour)).save(path)
    return paths


def test_regions_are_what_the_teacher_sees_in_each_view(photos, teacher):
    regions = read_teacher_regions(photos, Views.draw(len(photos), 3, 0), teacher)
    assert regions.values.shape == (8 * 3, REGIONS, UNITS)
    colour = np.asarray(Image.open(photos[5]))[0, 0] / np.float32(127.5) - 1
    seen = keras.ops.convert_to_numpy(teacher.decoder.decoder.regions(colour[None, None]))
    for view in range(3):  # a photo of one colour looks the same wherever one looks
        np.testing.assert_allclose(regions.of(np.array([5]), view), seen, atol=2e-3)


def test_regions_are_made_once(photos, teacher, monkeypatch):
    views = Views.draw(len(photos), 2, 0)
    first = read_teacher_regions(photos, views, teacher)
    monkeypatch.setattr(
        "captioner.training.inputs.row_cache.open_photo", lambda *_, **__: pytest.fail("was read again")
    )
    np.testing.assert_array_equal(read_teacher_regions(photos, views, teacher).values[:], first.values[:])


def test_a_broken_photo_has_no_regions_and_stops_nothing(photos, teacher):
    photos[0].write_bytes(b"no photo")
    regions = read_teacher_regions(photos, Views.draw(len(photos), 2, 0), teacher)
    assert np.abs(regions.values[2:].astype(float)).sum(axis=(1, 2)).min() > 0


def test_a_teacher_that_sees_nothing_is_refused(photos, teacher):
    image = keras.Input((SIZE, SIZE, 3))
    blind = keras.layers.Reshape((REGIONS, 3))(keras.layers.GlobalAveragePooling2D(keepdims=True)(image * 0.0))
    encoder = LiteRTEncoder(convert_encoder(keras.Model(image, blind)))
    with pytest.raises(CaptionerError, match="layer 'mean' gives the same value for every photo"):
        read_teacher_regions(photos, Views.draw(8, 1, 0), replace(teacher, encoder=encoder, checksum="1"))


def test_a_batch_brings_the_regions_of_the_view_that_it_shows():
    views = Views(np.broadcast_to([0.0, 0.0, 1.0, 1.0], (3, 2, 4)), np.array([[False, True]] * 3))
    pixels = np.zeros((3, 40, 40, 3), np.uint8)
    pixels[:, :, 20:] = np.array([50, 100, 150], np.uint8)[:, None, None, None]  # each photo is brighter on the right
    values = np.arange(6, dtype=np.float16).reshape(6, 1, 1)  # the photo, twice, and the view
    images = ImageDataset(pixels, SIZE, views)
    batch = TaughtImages(images, TeacherRegions(values, views)).batch(np.array([2, 0] * 10), np.random.default_rng(0))
    seen = set()
    for image, regions in zip(batch["images"], batch["teacher_regions"], strict=True):
        photo, mirrored = divmod(int(regions[0, 0]), 2)
        assert image.max() == 50 * (photo + 1)
        assert (image[:, 0].mean() > image[:, -1].mean()) == mirrored
        seen.add((photo, mirrored))
    assert seen == {(0, 0), (0, 1), (2, 0), (2, 1)}
    assert set(TaughtImages(images).batch(np.array([1]), np.random.default_rng(0))) == set(batch) - {"teacher_regions"}

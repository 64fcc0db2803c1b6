import errno
import os

import keras
import numpy as np
import pytest
from PIL import Image

from captioner.data.feature_parts import FeatureParts
from captioner.data.store import FeatureStore
from captioner.errors import CaptionerError
from captioner.photos import opening as photos_module
from captioner.training.inputs import features as features_module
from captioner.training.inputs import row_cache
from captioner.training.inputs.features import extract_features, find_features, images_at_once, read_pixels
from captioner.training.inputs.views import cut

COLOURS = {"red": (255, 0, 0), "blue": (0, 0, 255), "white": (255, 255, 255), "black": (0, 0, 0), "lime": (0, 255, 0)}
SEEN = {"red": (1, -1, -1), "blue": (-1, -1, 1), "white": (1, 1, 1), "black": (-1, -1, -1), "lime": (-1, 1, -1)}


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "captioner" / "features"


@pytest.fixture
def photos(tmp_path):
    for name, colour in COLOURS.items():
        Image.new("RGB", (30, 20), colour).save(tmp_path / f"{name}.png")
    return [tmp_path / f"{name}.png" for name in COLOURS]


class Counted(keras.layers.Layer):
    """Passes on what comes and counts how often the encoder was made ready to run."""

    calls = 0

    def call(self, inputs):
        Counted.calls += 1
        return inputs


def make_encoder(*layers):
    """Four places that hold the mean colour of each quarter."""
    images = keras.Input((8, 8, 3))
    outputs = keras.layers.AveragePooling2D(4)(images)
    for layer in layers:
        outputs = layer(outputs)
    return keras.Model(images, keras.layers.Reshape((4, 3))(outputs))


@pytest.fixture
def opened(monkeypatch):
    """The names of the photos that were opened."""
    names = []

    def open_photo(path, **options):
        names.append(path.stem)
        return photos_module.open_photo(path, **options)

    for module in (row_cache, features_module):
        monkeypatch.setattr(module, "open_photo", open_photo)
    return names


@pytest.mark.parametrize(("size", "images"), [(144, 32), (299, 32), (331, 32), (662, 8), (1324, 2), (2048, 1)])
def test_larger_images_are_read_in_smaller_batches(size, images):
    assert images_at_once(size) == images


@pytest.fixture
def by_two(monkeypatch):
    monkeypatch.setattr(features_module, "BATCH_SIZE", 2)


@pytest.fixture
def by_four(monkeypatch):
    monkeypatch.setattr(features_module, "BATCH_SIZE", 4)


@pytest.mark.usefixtures("by_two")
def test_a_row_a_photo(photos):
    found = extract_features(photos, make_encoder(), "pool")
    assert found.bad == {}
    assert (found.array.shape, found.array.dtype) == ((5, 4, 3), np.float16)
    np.testing.assert_array_equal(found.array[:], [[SEEN[name]] * 4 for name in COLOURS])


def test_what_is_in_the_cache_is_not_made_again(photos, cache, opened):
    encoder = make_encoder(Counted())
    first = extract_features(photos, encoder, "pool")
    assert sorted(opened) == sorted(COLOURS)
    Counted.calls = 0
    again = extract_features(photos, encoder, "pool")
    assert (Counted.calls, len(opened)) == (0, 5)
    np.testing.assert_array_equal(again.array[:], first.array[:])
    assert len(list(cache.iterdir())) == 1


def test_another_layer_or_other_photos_are_another_cache(photos, cache):
    encoder = make_encoder()
    extract_features(photos, encoder, "pool")
    extract_features(photos, encoder, "conv")
    extract_features(photos[:4], encoder, "pool")
    Image.new("RGB", (30, 20), "yellow").save(photos[0])
    found = extract_features(photos, encoder, "pool")
    np.testing.assert_array_equal(found.array[0], [[1, 1, -1]] * 4)
    assert len(list(cache.iterdir())) == 4


def test_other_weights_are_another_cache(photos):
    dense = keras.layers.Dense(3, use_bias=False)
    encoder = make_encoder(dense)
    dense.set_weights([np.eye(3)])
    first = extract_features(photos, encoder, "dense").array[:].copy()
    dense.set_weights([2 * np.eye(3)])
    np.testing.assert_array_equal(extract_features(photos, encoder, "dense").array[:], 2 * first)


@pytest.mark.usefixtures("by_four")
def test_a_bad_photo_is_told_and_the_others_are_made(photos, opened):
    photos[1].write_text("no photo")
    photos.append(photos[0].with_name("missing.jpg"))
    for _ in range(2):  # not remembered as good
        opened.clear()
        found = extract_features(photos, make_encoder(), "pool")
        assert sorted(found.bad) == [1, 5]
        assert "blue.png" in found.bad[1]
        assert found.bad[5].endswith("missing.jpg: no such file")
        good = [row for row in range(6) if row not in found.bad]
        names = [name for name in COLOURS if name != "blue"]
        np.testing.assert_array_equal(found.array[good], [[SEEN[name]] * 4 for name in names])
    assert sorted(opened) == ["blue", "missing"]


def test_a_photo_without_its_end_marker_is_told(photos, tmp_path):
    Image.new("RGB", (30, 20), COLOURS["red"]).save(tmp_path / "red.jpg")
    odd = tmp_path / "odd.jpg"
    odd.write_bytes((tmp_path / "red.jpg").read_bytes().removesuffix(b"\xff\xd9"))
    found = extract_features([*photos, odd], make_encoder(), "layer")
    assert found.notes == [f"{odd}: the file lacks its end marker, but no pixel is missing"]
    assert found.bad == {}


@pytest.mark.usefixtures("by_two")
def test_after_an_interruption_only_the_missing_photos_are_read(photos, opened, monkeypatch):
    original = FeatureStore.write
    written = []

    def write(store, rows, features):
        if written:
            raise KeyboardInterrupt
        written.append(len(rows))
        original(store, rows, features)

    with monkeypatch.context() as patch:
        patch.setattr(FeatureStore, "write", write)
        with pytest.raises(KeyboardInterrupt):
            extract_features(photos, make_encoder(), "pool")

    opened.clear()
    found = extract_features(photos, make_encoder(), "pool")
    assert sorted(opened) == ["black", "lime", "white"]
    np.testing.assert_array_equal(found.array[:], [[SEEN[name]] * 4 for name in COLOURS])


@pytest.mark.parametrize(
    "layer",
    [
        pytest.param(keras.layers.Rescaling(0.0), id="zero"),
        pytest.param(keras.layers.Rescaling(0.0, offset=[1.0, 2.0, 3.0]), id="each channel its own number"),
        pytest.param(keras.layers.Rescaling(float("nan")), id="not a number"),
    ],
)
def test_features_that_say_nothing_are_refused(photos, layer):
    with pytest.raises(CaptionerError, match=r"--encoder-weights: layer 'mixed10' .*--feature-layer"):
        extract_features(photos, make_encoder(layer), "mixed10")


@pytest.mark.needs("os.posix_fallocate")
def test_a_full_disk_is_said_before_the_work_begins(photos, opened, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(CaptionerError, match=r"the disk is full; make room.*XDG_CACHE_HOME"):
        extract_features(photos, make_encoder(), "pool")
    assert opened == []


def test_views_are_the_whole_its_mirror_image_and_parts(tmp_path, cache):
    left, right = np.full((16, 8, 3), [255, 0, 0], np.uint8), np.full((16, 8, 3), [0, 0, 255], np.uint8)
    Image.fromarray(np.concatenate([left, right], axis=1)).save(tmp_path / "halves.png")
    Image.new("RGB", (16, 16), (0, 128, 0)).save(tmp_path / "green.png")
    (tmp_path / "broken.png").write_bytes(b"no photo")
    photos = [tmp_path / f"{name}.png" for name in ("halves", "broken", "green")]
    found = extract_features(photos, make_encoder(), "quarters", views=4)
    assert found.array.shape == (12, 4, 3)
    assert list(found.bad) == [1]
    halves = found.array[:4]
    np.testing.assert_allclose(halves[0, 0], [1, -1, -1], atol=0.07)  # the upper left quarter is red, and a little blue
    np.testing.assert_allclose(halves[0, 1], [-1, -1, 1], atol=0.07)
    np.testing.assert_allclose(halves[1], halves[0][[1, 0, 3, 2]], atol=0.01)
    for part in halves[2:]:
        assert not np.allclose(part, halves[0])
        assert not np.allclose(part, halves[1])
    np.testing.assert_allclose(found.array[8:10], np.broadcast_to([-1.0, 0.0, -1.0], (2, 4, 3)), atol=0.01)
    retouched = found.array[10:]  # darker or brighter, and still of one colour
    np.testing.assert_array_equal(retouched, np.repeat(retouched[:, :1], 4, axis=1))
    assert (retouched[..., 1] > retouched[..., 0] + 0.5).all()
    assert not np.allclose(retouched[..., 1], 0.0, atol=0.01)
    again = extract_features(photos, make_encoder(), "quarters", views=4)
    np.testing.assert_array_equal(again.array[:], found.array[:])
    assert len(list(cache.iterdir())) == 1
    whole = extract_features(photos, make_encoder(), "quarters")
    np.testing.assert_array_equal(whole.array[:], found.array[::4])
    assert len(list(cache.iterdir())) == 2


class BatchMean(keras.layers.Layer):
    """Adds the mean over the batch, so that features tell in which company they were made."""

    def call(self, inputs):
        return inputs + keras.ops.mean(inputs)


@pytest.mark.usefixtures("by_four")
def test_features_do_not_depend_on_where_a_run_was_stopped(photos, cache, tmp_path, monkeypatch):
    photos.append(tmp_path / "missing.jpg")
    whole = extract_features(photos, make_encoder(BatchMean()), "pool").array[:].copy()
    store = next(cache.iterdir())
    for lost in ([0], [3], [1, 2, 4], [4]):
        sums = np.load(store / "checksums.npy")
        sums[lost] = 0  # as a kill between two rows leaves it
        np.save(store / "checksums.npy", sums)
        again = extract_features(photos, make_encoder(BatchMean()), "pool")
        np.testing.assert_array_equal(again.array[:], whole)


@pytest.mark.usefixtures("by_four")
def test_a_damaged_row_is_told_when_it_is_read_and_made_again_by_the_next_run(photos, cache, opened):
    whole = extract_features(photos, make_encoder(BatchMean()), "pool").array[:].copy()
    path = next(cache.iterdir()) / "features.npy"
    content = bytearray(path.read_bytes())
    content[-3 * 4 * 3 * 2] ^= 0x01  # of the third of five rows
    path.write_bytes(content)
    opened.clear()
    found = extract_features(photos, make_encoder(BatchMean()), "pool")
    np.testing.assert_array_equal(found.array[[0, 1, 3, 4]], whole[[0, 1, 3, 4]])
    with pytest.raises(CaptionerError, match="1 of 5 rows are damaged"):
        found.array[[1, 2]]
    assert opened == []
    again = extract_features(photos, make_encoder(BatchMean()), "pool")
    np.testing.assert_array_equal(again.array[:], whole)
    assert sorted(opened) == sorted(list(COLOURS)[:4])  # the whole batch, or it would be rounded otherwise


@pytest.fixture
def parts(photos, write_part, tmp_path):
    """What `bulk --features` made of these photos elsewhere, in another order and two parts; one was broken."""
    seen = {f"elsewhere/{name}.png": np.float32([SEEN[name]] * 4) for name in reversed(COLOURS)}
    seen["elsewhere/lime.png"] = "not an image that can be read"
    write_part(tmp_path / "parts", dict(list(seen.items())[:3]))
    write_part(tmp_path / "parts", dict(list(seen.items())[3:]), number=1)
    return FeatureParts(tmp_path / "parts")


def test_features_that_were_made_elsewhere_are_found_and_one_photo_is_read(photos, parts, opened):
    photos.append(photos[0].with_name("grey.png"))
    found = find_features(photos, parts, make_encoder())
    assert opened == ["red"]
    assert {number: photos[number].stem for number in found.bad} == {4: "lime", 5: "grey"}
    np.testing.assert_array_equal(found.array[found.rows[:4]], [[SEEN[name]] * 4 for name in list(COLOURS)[:4]])


@pytest.mark.parametrize(
    ("layer", "places"),
    [
        pytest.param(keras.layers.Rescaling(1.2), 4, id="other weights"),
        pytest.param(keras.layers.AveragePooling2D(2), 1, id="another layer"),
    ],
)
def test_features_of_another_encoder_are_refused(photos, parts, layer, places):
    images = keras.Input((8, 8, 3))
    grid = layer(keras.layers.AveragePooling2D(4)(images))
    encoder = keras.Model(images, keras.layers.Reshape((places, 3))(grid))
    with pytest.raises(CaptionerError, match=r"^--features: .*parts does not fit this encoder: for .*red\.png"):
        find_features(photos, parts, encoder)


def test_pixels_are_kept_and_broken_photos_named(tmp_path, monkeypatch):
    photo = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)
    paths = [tmp_path / "good.png", tmp_path / "broken.png"]
    Image.fromarray(photo).save(paths[0])
    paths[1].write_bytes(b"no photo")
    found = read_pixels(paths, 16)
    assert (found.array.shape, found.array.dtype, list(found.rows)) == ((2, 16, 16, 3), np.uint8, [0, 1])
    np.testing.assert_array_equal(found.array[0], cut(photo, np.array([0.0, 0.0, 1.0, 1.0]), False, 16))
    assert list(found.bad) == [1]
    assert "broken.png" in found.bad[1]
    monkeypatch.setattr(row_cache, "open_photo", lambda path, **options: 1 / 0 if path == paths[0] else photo)
    found = read_pixels(paths, 16)  # the good one comes from the cache, the other is tried again
    assert found.bad == {}
    np.testing.assert_array_equal(found.array[1], found.array[0])

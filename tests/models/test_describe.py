import io
from dataclasses import replace

import keras
import numpy as np
import pytest
from PIL import Image

from captioner.data.photos import PhotoError, open_photo, preprocess
from captioner.errors import CaptionerError
from captioner.models import describe
from captioner.models.describe import Describer
from captioner.models.directory import SavedModel, save_model
from captioner.models.generate import generate


@pytest.fixture
def encoder():
    """Images (B, 75, 75, 3) to features (B, 4, 6), different for different photos."""
    draw = np.random.default_rng(21)
    image = keras.Input((75, 75, 3))
    grid = keras.layers.Conv2D(6, 37, strides=37, name="grid")(image)
    model = keras.Model(image, keras.layers.Reshape((4, 6))(grid))
    model.set_weights([draw.uniform(-0.1, 0.1, weight.shape) for weight in model.weights])
    return model


@pytest.fixture
def saved(config, vocabulary, network):
    return SavedModel(config(), vocabulary, network())


@pytest.fixture
def photos():
    """Three photos that a model can tell apart, uint8 (H, W, 3)."""
    draw = np.random.default_rng(22)
    return [draw.integers(256, size=(40 + 9 * number, 60, 3)).astype(np.uint8) // (number + 1) for number in range(3)]


def test_captions_are_those_of_encoder_and_search(saved, encoder, photos):
    images = np.stack([preprocess(photo, 75) for photo in photos])
    beams = generate(saved.network, keras.ops.convert_to_numpy(encoder(images)), saved.config.decoding)
    for found, (candidate,) in zip(beams, Describer(saved, encoder)(photos), strict=True):
        assert candidate.caption == " ".join(saved.vocabulary.decode(found[0].tokens))
        assert candidate.score == found[0].score
        assert candidate.attention.shape == (len(candidate.caption.split()), 4)


def test_a_broken_photo_does_not_stop_the_others(saved, encoder, photos, tmp_path):
    describer = Describer(saved, encoder)
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    good = describer(photos[:2])
    mixed = describer([tmp_path / "broken.jpg", photos[0], tmp_path / "nothing.jpg", photos[1]])
    assert isinstance(mixed[0], PhotoError)
    assert "broken.jpg" in str(mixed[0])
    assert isinstance(mixed[2], PhotoError)
    for alone, among in zip(good, (mixed[1], mixed[3]), strict=True):
        assert among[0].caption == alone[0].caption
        np.testing.assert_allclose(among[0].score, alone[0].score, atol=1e-5)


def test_only_broken_photos_or_none(saved, encoder):
    describer = Describer(saved, encoder)
    assert describer([]) == []
    assert [type(result) for result in describer([b"no photo", b""])] == [PhotoError, PhotoError]


def test_a_path_bytes_and_an_array_of_one_photo(saved, encoder, photos, tmp_path):
    Image.fromarray(photos[0]).save(tmp_path / "photo.png")
    file = io.BytesIO()
    Image.fromarray(photos[0]).save(file, "PNG")
    np.testing.assert_array_equal(open_photo(tmp_path / "photo.png"), photos[0])
    results = Describer(saved, encoder)(
        [tmp_path / "photo.png", str(tmp_path / "photo.png"), file.getvalue(), photos[0]]
    )
    assert len({result[0].caption for result in results}) == 1


@pytest.mark.parametrize("number", [1, 2, 5])
def test_several_captions_best_first(saved, encoder, photos, number):
    describer = Describer(saved, encoder, num_captions=number)
    assert describer.decoding.beam_width == max(3, number)
    for candidates in describer(photos):
        assert 1 <= len(candidates) <= number
        assert len({candidate.caption for candidate in candidates}) == len(candidates)
    assert max(len(candidates) for candidates in describer(photos)) == number


@pytest.fixture
def directory(tmp_path, saved, encoder, monkeypatch):
    save_model(tmp_path / "model", saved.config, saved.vocabulary, saved.network)
    monkeypatch.setattr(describe, "build_encoder", lambda config, weights: encoder)
    return tmp_path / "model"


def test_settings_of_the_search_come_from_the_directory(directory):
    assert Describer.load(directory).decoding == describe.load_model(directory).config.decoding
    changed = Describer.load(directory, beam_width=1, length_penalty=0.0, num_captions=1).decoding
    assert (changed.beam_width, changed.length_penalty) == (1, 0.0)


def test_an_encoder_that_does_not_fit_is_refused(directory, saved):
    decoder = replace(saved.config.decoder, locations=9)
    save_model(directory, replace(saved.config, decoder=decoder), saved.vocabulary, saved.network)
    with pytest.raises(CaptionerError, match=r"made for features \(9, 6\), but .*'mixed2'.* gives \(4, 6\)") as error:
        Describer.load(directory)
    assert str(directory) in str(error.value)

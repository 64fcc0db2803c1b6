"""The shipped models in int8: the same captions each time, and most of them those of float32."""

import os
from pathlib import Path

import numpy as np
import pytest

from captioner import Captioner
from captioner.data.formats import read_dataset
from captioner.model_files.shipped import shipped_model

PHOTOS = Path(__file__).parents[2] / "photos"
# Read before a fixture hides them
DATA, WEIGHTS = (os.environ.get(name) for name in ("CAPTIONER_DATA", "CAPTIONER_ENCODER_WEIGHTS"))


def test_captions_are_the_same_each_time_alone_and_in_a_folder():
    photos = sorted(PHOTOS.glob("*.jpg"))
    first, second = (Captioner.load("compact", precision="int8") for _ in range(2))
    alone = [first(photo) for photo in photos]
    for together in (first(photos), second(photos), [caption for _, caption in second.stream(photos, threads=1)]):
        assert [each.text for each in together] == [each.text for each in alone]
        # Captions that are searched together are rounded together
        np.testing.assert_allclose([each.score for each in together], [each.score for each in alone], atol=1e-5)


def test_one_core_and_all_see_the_same():
    encoder = Captioner.load("compact", precision="int8").encoder
    image = np.random.default_rng(0).uniform(-1, 1, (encoder.image_size, encoder.image_size, 3)).astype(np.float32)
    np.testing.assert_array_equal(encoder(image), encoder(image, single_threaded=True))


def test_int8_is_what_photos_are_read_with():
    image = np.random.default_rng(0).uniform(-1, 1, (144, 144, 3)).astype(np.float32)
    auto, int8, exact = (
        Captioner.load("compact", precision=each).encoder(image) for each in ("auto", "int8", "float32")
    )
    np.testing.assert_array_equal(auto, int8)
    error = np.sqrt(np.square(int8 - exact).mean() / np.square(exact).mean())
    assert 0 < error < 0.05


@pytest.mark.data
@pytest.mark.long
@pytest.mark.skipif(not (DATA and WEIGHTS), reason="CAPTIONER_DATA or CAPTIONER_ENCODER_WEIGHTS is not set")
@pytest.mark.parametrize(("name", "share"), [("flickr8k", 0.8), ("compact", 0.9)])
def test_most_captions_are_those_of_float32(name, share):
    """Of all dev photos 88% and 96% stay."""
    photos = [example.image for example in read_dataset(Path(DATA)).split("dev")][::10]
    model = shipped_model(name)
    int8, exact = (
        [caption.text for caption in Captioner.load(model, WEIGHTS, precision=each)(photos)]
        for each in ("auto", "float32")
    )
    assert share <= np.mean([one == other for one, other in zip(int8, exact, strict=True)]) < 1

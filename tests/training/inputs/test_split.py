from pathlib import Path

import numpy as np
import pytest

from captioner.config.model import EncoderConfig
from captioner.data.dataset import CaptionDataset, Example
from captioner.errors import CaptionerError
from captioner.text import Vocabulary
from captioner.training.inputs import split as split_module
from captioner.training.inputs.row_cache import PhotoRows
from captioner.training.inputs.split import read_split


@pytest.fixture
def read(monkeypatch):
    """Returns a function that reads a split of these captions, whose photos at `bad` cannot be opened."""

    def run(captions, bad=(), notes=()):
        examples = tuple(Example(Path("photos", f"{n}.jpg"), tuple(each)) for n, each in enumerate(captions))
        array = np.zeros((len(examples), 1, 1), np.float16)

        def extract_features(photos, encoder, feature_layer, views):
            assert (feature_layer, encoder) == ("mixed3", "the encoder")
            assert list(photos) == [example.image for example in examples]
            return PhotoRows(array, range(len(photos)), {row: f"{photos[row]}: broken" for row in bad}, "", notes)

        monkeypatch.setattr(split_module, "extract_features", extract_features)
        dataset = CaptionDataset("made-up", {"train": examples, "dev": (), "test": ()})
        return read_split(dataset, "train", "the encoder", EncoderConfig("InceptionV3", "mixed3"))

    return run


def test_captions_become_words(read):
    split = read([["A dog's ball.", "Two dogs!"], ["A cat."]])
    assert split.captions == ([["a", "dog", "'s", "ball"], ["two", "dogs"]], [["a", "cat"]])
    assert split.rows.tolist() == [0, 1]
    assert split.names == ("0.jpg", "1.jpg")


def test_a_photo_without_words_or_that_cannot_be_read_is_left_out(read, caplog):
    split = read([["a dog"], ["a cat"], ["!?", "..."], ["-", "a fox"]], bad=[1])
    assert split.rows.tolist() == [0, 3]
    assert split.captions == ([["a", "dog"]], [["a", "fox"]])
    assert split.names == ("0.jpg", "3.jpg")
    assert caplog.messages == [
        f"left out: {Path('photos', '1.jpg')}: broken",
        "left out: 3 captions without a word, such as 2.jpg: '!?'",
    ]


def test_many_bad_photos_do_not_fill_the_screen(read, caplog):
    read([["a dog"]] * 9, bad=range(8))
    assert len(caplog.messages) == 6
    assert caplog.messages[-1] == "left out: 3 more photos that cannot be read"


def test_odd_photos_are_counted_with_an_example(read, caplog):
    read([["a dog"]], notes=["b.jpg: odd", "a.jpg: odd", "b.jpg: odd"])
    read([["a dog"]], notes=["c.jpg: odd"])
    assert caplog.messages == [
        "2 photos were used despite a fault, such as a.jpg: odd",
        "1 photo was used despite a fault, such as c.jpg: odd",
    ]


def test_no_photo_at_all_is_an_error(read):
    with pytest.raises(CaptionerError, match="no photo of the train split can be used"):
        read([["a dog"]] * 2, bad=[0, 1])


def test_captions_become_tokens_cut_at_the_longest(read):
    split = read([["a dog"], ["a dog", "a red dog runs"]])
    assert split.tokens == ()
    vocabulary = Vocabulary.build([["a", "dog", "red"]])
    encoded = split.encoded(vocabulary, 3)
    a, dog, red = (vocabulary.encode([word], 2)[0] for word in ("a", "dog", "red"))
    assert encoded.tokens == [[[a, dog, 2]], [[a, dog, 2], [a, red, dog]]]
    assert encoded.captions is split.captions

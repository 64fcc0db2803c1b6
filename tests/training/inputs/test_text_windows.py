from itertools import pairwise

import numpy as np
import pytest

from captioner.errors import CaptionerError
from captioner.training.inputs import text_windows
from captioner.training.inputs.text_windows import TextWindows, shifted, validation_windows

START = 0


def windows(tokens, batch_size, length, seed=0, epoch=1):
    read = TextWindows(np.asarray(tokens, np.uint8), batch_size, length).epoch(seed, epoch)
    return [(window["inputs"], window["targets"]) for window in read]


def test_windows_by_hand():
    # 12 characters, 2 streams of 6, in windows of 3: nothing is left over, so there is one way to cut.
    (x1, y1), (x2, y2) = windows(range(10, 22), 2, 3)
    assert y1.tolist() == [[10, 11, 12], [16, 17, 18]]
    assert x1.tolist() == [[START, 10, 11], [START, 16, 17]]
    assert y2.tolist() == [[13, 14, 15], [19, 20, 21]]
    assert x2.tolist() == [[12, 13, 14], [18, 19, 20]]
    assert x1.dtype == y1.dtype == np.int32


def test_each_target_has_its_row_of_probabilities():
    tokens = np.random.default_rng(1).integers(2, 200, 1000)
    cut = TextWindows(tokens, 5, 13)
    cut.ngram_probabilities = np.stack([tokens, np.arange(1000)], axis=1).astype(np.float16)  # made up, to know them
    read = list(cut.epoch(seed=0, epoch=3))
    assert len(read) == 1000 // 65
    for window in read:
        assert window["ngram_probabilities"].dtype == np.float32
        np.testing.assert_array_equal(window["ngram_probabilities"][..., 0], window["targets"])
        assert (np.diff(window["ngram_probabilities"][..., 1]) == 1).all()


def test_a_window_goes_on_where_the_one_before_it_ended():
    tokens = np.random.default_rng(1).integers(2, 200, 1000)
    for epoch in range(1, 6):
        pairs = windows(tokens, 5, 13, epoch=epoch)
        assert len(pairs) == 1000 // 65
        assert all((inputs[:, 1:] == targets[:, :-1]).all() for inputs, targets in pairs)
        for (_, before), (inputs, _) in pairwise(pairs):
            np.testing.assert_array_equal(inputs[:, 0], before[:, -1])
        read = np.concatenate([targets for _, targets in pairs], axis=1).reshape(-1)
        places = [place for place in range(1000 - len(read) + 1) if (tokens[place : place + len(read)] == read).all()]
        assert len(places) == 1, "the streams are one stretch of the text, cut"


def test_where_an_epoch_begins_follows_from_seed_and_epoch():
    def first(seed, epoch):
        return int(windows(np.arange(100) % 251, 2, 7, seed, epoch)[0][1][0, 0])

    assert first(0, 1) == first(0, 1)
    offsets = {first(seed, epoch) for seed in range(6) for epoch in range(1, 21)}
    assert offsets == {0, 1, 2}  # 7 windows of 14 leave 2 characters over


@pytest.mark.parametrize(("characters", "count"), [(12, 1), (23, 1), (24, 2), (1200, 100)])
def test_the_number_of_windows_is_the_same_every_epoch(characters, count):
    text = TextWindows(np.full(characters, 3, np.uint8), 4, 3)
    assert len(text) == count
    assert {len(list(text.epoch(0, epoch))) for epoch in range(1, 4)} == {count}


def test_a_text_too_short_is_refused_with_a_remedy():
    with pytest.raises(
        CaptionerError, match=r"has 11 characters, fewer than one batch of 4 x 3 = 12; give a longer text, or lower"
    ):
        TextWindows(np.zeros(11, np.uint8), 4, 3)


def test_what_is_read_is_what_was_to_be_predicted_a_step_before():
    assert shifted(np.array([7, 8, 9])).tolist() == [START, 7, 8]
    assert shifted(np.array([[7], [8]])).tolist() == [[START], [START]]
    assert shifted(np.array([7, 8], np.uint8)).dtype == np.uint8


@pytest.mark.parametrize("length", [79, 80, 160, 161, 317])
def test_a_validation_text_is_counted_once_whatever_the_number_of_streams(monkeypatch, length):
    monkeypatch.setattr(text_windows, "WARM_UP", 20)
    monkeypatch.setattr(text_windows, "STREAMS", 3)
    tokens = np.random.default_rng(2).integers(2, 9, length).astype(np.uint8)
    read = list(validation_windows(tokens, 7))
    assert {window[name].shape[1] for window in read for name in ("inputs", "targets")} == {7}
    inputs, targets = (np.concatenate([window[name] for window in read], axis=1) for name in ("inputs", "targets"))
    assert inputs.shape[0] == max(1, min(3, length // 80))
    np.testing.assert_array_equal(targets[targets >= 0], tokens)
    for stream, counted in enumerate(targets >= 0):
        begin = int(np.argmax(counted))
        assert begin == (20 if stream else 0)

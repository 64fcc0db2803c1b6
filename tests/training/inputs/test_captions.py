from pathlib import Path

import pytest

from captioner.config.decoding import DecodingConfig
from captioner.data.dataset import Example
from captioner.training.inputs.captions import fitted, log_cut_captions, log_left_captions, read_captions


def test_captions_without_a_word_are_left_out_and_counted(caplog):
    examples = [
        Example(Path("a.jpg"), ("A dog.", "!?")),
        Example(Path("b.jpg"), ("...",)),
        Example(Path("c.jpg"), ("我",)),
    ]
    assert read_captions(examples) == [[["a", "dog"]], [], [["我"]]]
    assert caplog.messages == ["left out: 2 captions without a word, such as a.jpg: '!?'"]


def test_one_caption_without_a_word_and_none(caplog):
    read_captions([Example(Path("a.jpg"), ("A dog.", "\x1b!"))])
    assert caplog.messages == [r"left out: 1 caption without a word, such as a.jpg: '\x1b!'"]
    read_captions([Example(Path("a.jpg"), ("A dog.",))])
    assert len(caplog.messages) == 1


@pytest.mark.parametrize(
    ("lengths", "told"),
    [
        ([3, 9], []),
        ([3, 10], ["1 of 2 captions are longer than --max-length 10, and are cut: 11 keeps all"]),
        ([9, 10, 11, 30], ["3 of 4 captions are longer than --max-length 10, and are cut: 31 keeps all"]),
        ([*[9] * 199, 40], ["1 of 200 captions are longer than --max-length 10, and are cut: 41 keeps all"]),
        ([*[11] * 199, 40], ["200 of 200 captions are longer than --max-length 10, and are cut: 12 keeps 99%, 41 all"]),
        ([], []),
    ],
)
def test_captions_that_are_cut_are_counted_with_what_would_keep_them(lengths, told, caplog):
    caplog.set_level("INFO", "captioner")
    log_cut_captions([["a"] * length for length in lengths], 10)
    assert caplog.messages == told


@pytest.mark.parametrize(
    ("captions", "size"),
    [("一 只 狗 跑", 4), ("a dog runs", 2), ("一 dog", 2), ("一 只 dog", 4), ("강아지가 달린다", 2), ("ก า dog", 4)],
)
def test_pairs_of_characters_may_come_again_where_pairs_of_words_may_not(captions, size):
    assert fitted(DecodingConfig(), [captions.split()]) == DecodingConfig(no_repeat_ngram_size=size)


def test_what_another_model_was_told_of_repetition_stays():
    decoding = DecodingConfig(no_repeat_ngram_size=3)
    assert fitted(decoding, [["一", "只"]]) is decoding


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ([5, 5, 3], []),
        (
            [5, 6, 1, 12],
            ["2 of 4 photos have more than --captions-per-image 5 captions, up to 12; each epoch draws others"],
        ),
    ],
)
def test_photos_with_more_captions_than_a_step_learns_from_are_counted(counts, told, caplog):
    caplog.set_level("INFO", "captioner")
    log_left_captions([[["a"]] * count for count in counts], 5)
    assert caplog.messages == told

"""The share of a caption that somebody else said too, counted by hand."""

from captioner.metrics.content_words import content_words, share_confirmed

DOGS = [["two", "dogs", "run", "on", "grass"], ["a", "black", "dog", "and", "its", "friend"]]


def test_words_without_a_meaning_of_their_own_are_left_out() -> None:
    words = ["a", "man", "is", "standing", "in", "front", "of", "two", "dogs"]

    assert content_words(words) == ["man", "standing", "two", "dogs"]


def test_a_word_counts_once_anybody_has_said_it() -> None:
    assert (
        share_confirmed(["a", "black", "dog", "runs", "on", "the", "grass"], DOGS) == 3 / 4
    )  # black, dog, grass; not "runs"


def test_a_word_counts_each_time_that_it_is_said() -> None:
    assert share_confirmed(["dog", "dog", "cat"], DOGS) == 2 / 3


def test_a_caption_that_names_nothing_is_not_right() -> None:
    assert share_confirmed(["it", "is", "on", "the"], DOGS) == 0
    assert share_confirmed([], DOGS) == 0

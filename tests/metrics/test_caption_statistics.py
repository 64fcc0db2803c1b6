import pytest

from captioner.metrics.caption_statistics import caption_statistics


def words(*captions):
    return [caption.split() for caption in captions]


def test_how_varied_and_how_original():
    captions = words("a dog runs", "a dog runs", "a big cat sits there", "the dog")
    found = caption_statistics(captions, [words("x")] * 4, words("a dog runs", "the cat"))
    assert found["distinct_words"] == 8
    assert found["mean_length"] == (3 + 3 + 5 + 2) / 4
    assert found["copied"] == 50


@pytest.mark.parametrize(
    ("caption", "references", "expected"),
    [
        ("a red dog", ["a red hound", "a dog"], (0, 0, 0)),
        ("a red and blue kite", ["a red kite"], (100, 0, 0)),
        ("two dogs", ["a pair of dogs"], (0, 100, 0)),
        ("two dogs", ["dogs", "two hounds"], (0, 0, 0)),
        ("a man sits", ["a woman sits", "a person sits"], (0, 0, 100)),
        ("a man sits", ["a person sits"], (0, 0, 0)),
        ("a girl sits", ["a boy sits", "a girl sits"], (0, 0, 0)),
        ("a man and a woman", ["two women"], (0, 0, 0)),
    ],
)
def test_what_is_said_without_ground(caption, references, expected):
    found = caption_statistics(words(caption), [words(*references)], [])
    assert (found["groundless_colours"], found["groundless_numbers"], found["wrong_gender"]) == expected


def test_the_share_is_of_those_that_say_such_a_thing():
    captions = words("a red dog", "a blue dog", "a dog", "a dog")
    found = caption_statistics(captions, [words("a red dog")] * 4, [])
    assert found["groundless_colours"] == 50
    assert found["name_any"] == 2

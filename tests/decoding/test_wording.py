import re

import pytest

from captioner.config.decoding import WordingConfig
from captioner.decoding.wording import SPECIAL, worded
from captioner.errors import CaptionerError
from captioner.text import Vocabulary

VOCABULARY = Vocabulary.build([["a", "dog", "'s", "ball", "강아지", "小", "狗"]])
NUMBER = {token: number for number, token in enumerate(VOCABULARY.tokens)}


def read(begin="", exclude=(), max_length=6):
    return worded(VOCABULARY, WordingConfig(begin, exclude), max_length)


def test_nothing_asked_for_changes_nothing():
    assert read() == (SPECIAL, [])


@pytest.mark.parametrize(
    ("begin", "words"),
    [("a dog", ["a", "dog"]), ("A dog's ball.", ["a", "dog", "'s", "ball"]), ("小狗", ["小", "狗"]), ("  ", [])],
)
def test_a_beginning_is_read_as_captions_are(begin, words):
    special, unknown = read(begin)
    assert special == SPECIAL._replace(begin=tuple(NUMBER[word] for word in words))
    assert unknown == []


def test_excluded_words_are_banned_and_unknown_ones_are_told():
    special, unknown = read(exclude=("Dog", "unicorn", "강아지", "dog"))
    assert special == SPECIAL._replace(banned=(*SPECIAL.banned, NUMBER["dog"], NUMBER["강아지"]))
    assert unknown == ["unicorn"]


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ({"begin": "a photo of"}, "begin: the model does not know 'photo', 'of'; begin with other words"),
        ({"begin": "<end> a"}, "begin: the model does not know 'end'"),
        ({"begin": "..."}, "begin: expected words, found '...'"),
        ({"begin": "a dog", "max_length": 2}, "may have, which are 2 with its end, found 2"),
        ({"exclude": ("dog's",)}, "exclude: \"dog's\" is 2 words to the model: 'dog', \"'s\"; name single words"),
        ({"exclude": ("!",)}, "exclude: '!' is no word; name single words"),
        ({"begin": "a dog", "exclude": ("Dog",)}, "exclude: 'dog' stands in begin too"),
    ],
)
def test_what_cannot_be_said_is_named(asked, complaint):
    with pytest.raises(CaptionerError, match=re.escape(complaint)):
        read(**asked)

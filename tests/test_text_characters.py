import json

import numpy as np
import pytest

from captioner import text as text_module
from captioner.errors import CaptionerError
from captioner.text import CharacterVocabulary

KOREAN = "나랏말싸미 듕귁에 달아\r\n\u110b\u1161\tZoë 👩‍👧\n"


def test_characters_stand_in_the_order_of_their_code_points():
    vocabulary = CharacterVocabulary.build("banana\n가")
    assert vocabulary.tokens == ("<start>", "<unk>", "\n", "a", "b", "n", "가")
    assert len(vocabulary) == 7
    assert vocabulary.encode("ab\n가").tolist() == [3, 4, 2, 6]
    assert vocabulary.decode([4, 3, 5, 0, 1, 6]) == "ban가"


@pytest.mark.parametrize("text", [KOREAN, "", "a", "\x00\u2028\U0010ffff"])
def test_there_and_back(text, tmp_path):
    vocabulary = CharacterVocabulary.build(text)
    assert vocabulary.decode(vocabulary.encode(text)) == text
    vocabulary.save(tmp_path / "vocabulary.json")
    assert CharacterVocabulary.load(tmp_path / "vocabulary.json").tokens == vocabulary.tokens


def test_others_are_unknown_and_named():
    vocabulary = CharacterVocabulary.build("abc")
    assert vocabulary.encode("a한d\U0010ffff\0c\udcff").tolist() == [2, 1, 1, 1, 1, 4, 1]
    assert vocabulary.unknown_in("zaz한b") == ["z", "한"]
    assert vocabulary.unknown_in("abc") == []


@pytest.mark.parametrize(("size", "dtype"), [(200, np.uint8), (300, np.uint16), (70_000, np.uint32)])
def test_numbers_take_no_more_room_than_they_need(size, dtype):
    text = "".join(chr(0x20000 + number) for number in range(size))
    encoded = CharacterVocabulary.build(text).encode(text)
    assert encoded.dtype == dtype
    np.testing.assert_array_equal(encoded, np.arange(2, size + 2))


def test_a_long_text_is_encoded_piece_by_piece(monkeypatch):
    vocabulary = CharacterVocabulary.build(KOREAN)
    whole = vocabulary.encode(KOREAN * 3)
    monkeypatch.setattr(text_module, "ENCODED_AT_ONCE", 7)
    np.testing.assert_array_equal(vocabulary.encode(KOREAN * 3), whole)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (["a", "b"], "starts with <start> <unk>"),
        (["<unk>", "<start>", "a"], "starts with <start> <unk>"),
        (["<start>", "<unk>", "ab"], "one character, 'ab' is not"),
        (["<start>", "<unk>", ""], "one character, '' is not"),
        (["<start>", "<unk>", "a", "a"], "'a' stands twice"),
    ],
)
def test_tokens_that_are_no_vocabulary_of_characters(tmp_path, tokens, message):
    with pytest.raises(ValueError, match=message):
        CharacterVocabulary(tokens)
    (tmp_path / "vocabulary.json").write_text(json.dumps({"tokens": tokens}))
    with pytest.raises(CaptionerError, match=rf"vocabulary\.json cannot be used: .*{message}"):
        CharacterVocabulary.load(tmp_path / "vocabulary.json")

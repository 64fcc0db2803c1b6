import json
import random
import re
import unicodedata

import pytest

from captioner.errors import CaptionerError
from captioner.text import SPECIAL_TOKENS, Vocabulary, normalise

SENTENCES = [["a", "dog", "runs"], ["a", "dog", "sleeps"], ["a", "cat", "sleeps"]]


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("A dog's ball, isn't it?", "a dog 's ball is n't it"),
        ("Two dogs . Three cats .", "two dogs three cats"),
        ("Two dogs. Three cats.", "two dogs three cats"),
        ("The dog\u2019s ball", "the dog 's ball"),
        ('A man says "hello" (loudly) !', "a man says hello loudly"),
        ("A black-and-white dog; a T-shirt", "a black-and-white dog a t-shirt"),
        ("Number 5 , 2.5 metres & more", "number 5 2.5 metres more"),
        ("  A\tdog\n runs ", "a dog runs"),
        ("She can't go", "she ca n't go"),
        ("강아지가 풀밭을 달린다.", "강아지가 풀밭을 달린다"),
        ("Ein Mädchen fährt", "ein mädchen fährt"),
        ("... - !", ""),
        ("", ""),
    ],
)
def test_normalise(caption, words):
    assert normalise(caption) == words.split()


@pytest.mark.parametrize("caption", ["Caf\u00e9 crème", "강아지 두 마리", "Ångström"])
def test_normalise_joins_letters_that_were_taken_apart(caption):
    taken_apart = unicodedata.normalize("NFD", caption)
    assert taken_apart != caption
    assert normalise(taken_apart) == normalise(caption) == caption.lower().split()


def test_normalise_of_its_own_result_changes_nothing():
    draw = random.Random(7)
    letters = "abcABC 한글 .,;!?'\"-()5"
    for _ in range(300):
        words = normalise("".join(draw.choices(letters, k=draw.randrange(40))))
        assert all(word and word == word.lower() and not re.search(r"\s", word) for word in words)
        plain = [word for word in words if word.isalnum()]
        assert normalise(" ".join(plain)) == plain


def test_build_puts_frequent_words_first_and_breaks_ties_by_letters():
    vocabulary = Vocabulary.build(SENTENCES)
    assert vocabulary.tokens == (*SPECIAL_TOKENS, "a", "dog", "sleeps", "cat", "runs")
    assert len(vocabulary) == 9
    assert Vocabulary.build(reversed(SENTENCES)).tokens == vocabulary.tokens


def test_special_tokens_have_fixed_numbers():
    assert (Vocabulary.pad, Vocabulary.start, Vocabulary.end, Vocabulary.unknown) == (0, 1, 2, 3)
    assert SPECIAL_TOKENS == ("<pad>", "<start>", "<end>", "<unk>")
    assert Vocabulary.build([]).tokens == SPECIAL_TOKENS


@pytest.mark.parametrize(("min_count", "words"), [(1, 5), (2, 3), (3, 1), (4, 0)])
def test_min_count_drops_rare_words(min_count, words):
    assert len(Vocabulary.build(SENTENCES, min_count)) == 4 + words


def test_a_caption_cannot_bring_a_special_token():
    vocabulary = Vocabulary.build([["<end>", "a", "<pad>"]])
    assert vocabulary.tokens == (*SPECIAL_TOKENS, "a")


def test_encode_ends_a_sentence_or_cuts_it_without_an_end():
    vocabulary = Vocabulary.build(SENTENCES)
    assert vocabulary.encode(["a", "dog", "flies"], 10) == [4, 5, 3, 2]
    assert vocabulary.encode(["a", "dog", "flies"], 4) == [4, 5, 3, 2]
    assert vocabulary.encode(["a", "dog", "flies"], 3) == [4, 5, 3]
    assert vocabulary.encode(["a", "dog", "flies"], 1) == [4]
    assert vocabulary.encode([], 5) == [2]


def test_decode_leaves_special_tokens_out():
    assert Vocabulary.build(SENTENCES).decode([1, 4, 3, 5, 2, 0]) == ["a", "dog"]


def test_extended_keeps_tokens_and_numbers():
    base = Vocabulary.build(SENTENCES)
    wider = base.extended([["zebra", "bird", "bird", "dog"], ["rare", "zebra"]], min_count=2)
    assert wider.tokens == (*base.tokens, "bird", "zebra")
    assert base.extended(SENTENCES).tokens == base.tokens


def test_random_words_come_back(tmp_path):
    draw = random.Random(11)
    alphabet = "abcdefghij가나다라마é-'5"
    for trial in range(30):
        words = ["".join(draw.choices(alphabet, k=draw.randrange(1, 8))) for _ in range(draw.randrange(1, 60))]
        sentences = [draw.choices(words, k=draw.randrange(12)) for _ in range(20)]
        vocabulary = Vocabulary.build(sentences)
        vocabulary.save(tmp_path / f"{trial}.json")
        loaded = Vocabulary.load(tmp_path / f"{trial}.json")
        assert loaded.tokens == vocabulary.tokens
        for sentence in sentences:
            numbers = loaded.encode(sentence, 100)
            assert numbers[-1] == Vocabulary.end
            assert loaded.decode(numbers) == sentence
            assert loaded.encode(sentence, 5) == numbers[:5]
        stranger = "z" * 9
        assert loaded.encode([stranger], 2) == [Vocabulary.unknown, Vocabulary.end]
        assert loaded.extended([[stranger]]).tokens == (*loaded.tokens, stranger)


def test_the_file_holds_words_as_people_write_them(tmp_path):
    path = tmp_path / "vocabulary.json"
    Vocabulary.build([["강아지", "é"]]).save(path)
    assert '"강아지"' in path.read_text(encoding="utf-8")
    assert Vocabulary.load(path).tokens[4:] == ("é", "강아지")


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (["a", "b"], "a vocabulary starts with <pad> <start> <end> <unk>, not a b"),
        ([], "a vocabulary starts with"),
        ([*SPECIAL_TOKENS, "dog", "cat", "dog"], "each token once; 'dog' stands twice"),
        ([*SPECIAL_TOKENS, "<end>"], "each token once; '<end>' stands twice"),
    ],
)
def test_unusable_tokens_are_refused(tmp_path, tokens, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Vocabulary(tokens)
    path = tmp_path / "vocabulary.json"
    path.write_text(json.dumps({"tokens": tokens}), encoding="utf-8")
    with pytest.raises(CaptionerError, match=re.escape(message)) as error:
        Vocabulary.load(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("content", ["[]", "{}", "null", '{"tokens": "abcd"}', '{"tokens": [1, 2]}', '{"tokens": {}}'])
def test_another_json_is_refused(tmp_path, content):
    path = tmp_path / "vocabulary.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(CaptionerError, match=re.escape(f"the vocabulary {path} is not")):
        Vocabulary.load(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CaptionerError, match=r"cannot read the vocabulary .*nothing\.json: No such file"):
        Vocabulary.load(tmp_path / "nothing.json")


@pytest.mark.parametrize(
    "odd", ["\x1b[2Jdog", "do\ng", "dog\t", "\x9bdog", "dog\u202e", "do\u2028g", "\u2066dog", "\udcff"]
)
def test_words_that_would_steer_a_terminal_are_refused(odd, tmp_path):
    with pytest.raises(ValueError, match="control characters"):
        Vocabulary([*SPECIAL_TOKENS, "a", odd])
    (tmp_path / "vocabulary.json").write_text(json.dumps({"tokens": [*SPECIAL_TOKENS, "a", odd]}))
    with pytest.raises(CaptionerError, match=r"vocabulary\.json cannot be used: the word .* control") as error:
        Vocabulary.load(tmp_path / "vocabulary.json")
    assert str(error.value).isprintable()


def test_no_caption_brings_such_a_word_into_a_vocabulary():
    words = normalise("A\x1b[1m dog\u2028runs\x85in\u202e the \x9bpark\u2066")
    assert words == ["a", "1m", "dog", "runs", "in", "the", "park"]
    assert Vocabulary.build([words]).decode([4]) == ["1m"]

"""Captions in scripts that have no spaces between words."""

# ruff: noqa: RUF001

import random
import re
import unicodedata

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from captioner.text import FALSE_SPACES, Vocabulary, is_unspaced, join_words, normalise

CAPTIONS = {
    "一个女孩穿着蓝色的衬衫": "一 个 女 孩 穿 着 蓝 色 的 衬 衫",
    "两只 dog 在草地上，奔跑。": "两 只 dog 在 草 地 上 奔 跑",
    "２只狗！ＤＯＧ": "2 只 狗 dog",
    "人々は〇〇に": "人 々 は 〇 〇 に",
    "青いシャツを着た女の子、ﾊﾟﾝ。": "青 い シ ャ ツ を 着 た 女 の 子 パ ン",
    "データ・ベース": "デ ー タ ベ ー ス",
    "เด็กผู้หญิง": "เ ด็ ก ผู้ ห ญิ ง",
    "ทำน้ำ 2 ตัว": "ทำ น้ำ 2 ตั ว",
    "คนอื่นๆ ๒.๕ ตัว": "ค น อื่ น ๆ ๒.๕ ตั ว",
    "ໝາສອງໂຕ ນໍ້າ": "ໝ າ ສ ອ ງ ໂ ຕ ນໍ້ າ",
    "ក្មេងស្រីម្នាក់។": "ក្មេ ង ស្រី ម្នា ក់",
    "မန္တလေး၏ ၎င်း။": "မ န္တ လေး ၏ ၎ င်း",
    "一只狗\u200b跑\ufe0f": "一 只 狗 跑",
    "女孩isn't 3.5米": "女 孩 is n't 3.5 米",
}


@pytest.mark.parametrize("caption", CAPTIONS)
def test_each_character_with_its_marks_is_a_word(caption):
    assert normalise(caption) == CAPTIONS[caption].split()


@pytest.mark.parametrize(
    ("words", "caption"),
    [
        ("一 个 女 孩", "一个女孩"),
        ("两 只 dog 在 跑", "两只 dog 在跑"),
        ("a big dog 和 猫", "a big dog 和猫"),
        ("2 只 狗 和 13 只 猫", "2只狗和13只猫"),
        ("ทำ น้ำ 2 ตั ว", "ทำน้ำ 2 ตัว"),
        ("デ ー タ", "データ"),
        ("강아지가 풀밭을 달린다", "강아지가 풀밭을 달린다"),
        ("강아지 犬", "강아지 犬"),
        ("a dog 's ball", "a dog 's ball"),
        ("2 3 dogs", "2 3 dogs"),
        ("ein mädchen", "ein mädchen"),
        ("", ""),
    ],
)
def test_captions_are_written_without_spaces_that_their_language_does_not_have(words, caption):
    assert join_words(words.split()) == caption


@pytest.mark.parametrize("caption", CAPTIONS)
def test_a_caption_that_was_put_together_gives_the_same_words(caption):
    words = normalise(caption)
    assert normalise(join_words(words)) == words


PIECES = "一 犬 々 あ パ ー ｶ เ ด็ ผู้ ทำ ນໍ້ ນຳ ក្មេ ។ မ န္တ ၏ a dog 강 2 。"


@settings(max_examples=300, derandomize=True, deadline=None, database=None)
@given(st.lists(st.sampled_from([*PIECES.split(), " "]), max_size=30))
def test_any_mixture_comes_back(pieces):
    text = "".join(pieces)
    words = normalise(text)
    assert all(word and not word.isspace() for word in words)
    assert normalise(join_words(words)) == words


def test_thai_and_lao_characters_are_those_of_unicode():
    draw = random.Random(4)
    consonants, marks = (
        "กขคงจดตนบปมยรลวสหอກຂຄງຈດຕນບປມ",
        "\u0e31\u0e34\u0e35\u0e38\u0e47\u0e48\u0e49\u0e33\u0eb4\u0ec8\u0eb3",
    )
    for _ in range(200):
        text = "".join(draw.choice(consonants) + "".join(draw.choices(marks, k=draw.randrange(3))) for _ in range(9))
        assert normalise(text) == regex.findall(r"\X", unicodedata.normalize("NFC", text))


@pytest.mark.parametrize(
    "caption",
    [
        "A dog's ball, isn't it?",
        "Ein Mädchen fährt",
        "강아지가 풀밭을 달린다.",
        "كلب يجري",
        "девочка",
        "2.5 m²",
        "👩‍👧 runs",
    ],
)
def test_other_languages_keep_their_words_and_spaces(caption):
    assert not any(map(is_unspaced, normalise(caption)))
    assert join_words(normalise(caption)) == " ".join(normalise(caption))


def test_a_vocabulary_learns_characters_that_come_again():
    sentences = [normalise(caption) for caption in ("一个女孩", "一个男孩", "两个女孩")]
    assert Vocabulary.build(sentences, min_count=2).tokens[4:] == ("个", "孩", "一", "女")


def test_the_patterns_do_without_what_re2_lacks():
    for pattern in FALSE_SPACES:
        assert "(?" not in pattern
        assert re.compile(pattern).groups == 2

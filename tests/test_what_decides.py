"""The counts behind `docs/errors.md`, by hand, and its tables."""

import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import what_decides
from benchmarks.photo_groups import (
    agreement,
    difference,
    interval,
    kinds_of,
    part,
    quarters,
    rank_correlation,
    repeated,
    with_rare_words,
)
from benchmarks.what_decides import END, TABLES, Said, analyse, frequent, main, table, with_tables
from benchmarks.word_kinds import ANIMALS, COLOURS, KINDS, NUMBERS, Count, against_one_person, count_words, people_using
from captioner.errors import CaptionerError
from docs.figures.what_decides import draw_parts

ROOT = Path(__file__).parents[1]


def words(*captions: str) -> list[list[str]]:
    return [caption.split() for caption in captions]


def test_words_of_a_kind_are_counted_once_a_caption():
    captions = words("a red dog and a red ball", "two dogs")
    references = [words("a red dog", "a brown dog", "a dog"), words("one dog", "a dog", "a cat")]
    assert people_using(references[0]) == {"a": 3, "red": 1, "dog": 3, "brown": 1}
    # of two colours nobody but one person named, none is wanted; the second photo's "dogs" is not its "dog"
    assert count_words(captions, references, COLOURS) == Count(said=1, right=1, wanted=0, found=0)
    assert count_words(captions, references, ANIMALS) == Count(said=2, right=1, wanted=2, found=1)
    assert count_words(captions, references, NUMBERS) == Count(said=1, right=0, wanted=0, found=0)
    assert (Count(4, 3, 5, 1).precision, Count(4, 3, 5, 1).recall) == (0.75, 0.2)
    assert (Count(0, 0, 0, 0).precision, Count(0, 0, 0, 0).recall) == (0, 0)


def test_a_person_and_the_model_are_held_against_the_same_others():
    references = [words("a dog", "a dog", "a cat")]
    model, person = against_one_person(words("a dog"), references, ANIMALS)
    # without the third person "dog" is wanted and right; without the first or the second it is right, and said once
    assert model == Count(said=3, right=3, wanted=1, found=1)
    assert person == Count(said=3, right=2, wanted=1, found=0)


def test_no_word_has_two_kinds():
    kinds = list(KINDS.values())
    assert sum(map(len, kinds)) == len(frozenset().union(*kinds))


def test_rare_words_by_hand():
    training = [words("a man in a hat", "a hat")] * 20 + [words("a kilt")] * 19
    references = [
        words("a man", "a man in a kilt", "a kilt"),
        words("a hat", "a hat", "a kilt"),
        words("a hat", "a fez"),
    ]
    mine, rare = with_rare_words(references, training)
    assert mine.tolist() == [True, False, False]  # one person's kilt does not count, nor does one person's fez
    assert rare == [{"kilt"}, set(), set()]


def test_kinds_are_what_most_people_mention():
    references = [
        words("a dog", "a puppy", "dogs in snow", "an animal", "snow"),
        words("a boy", "a boy", "a dog", "a dog", "a child"),
        words("a", "a", "a", "a", "a"),
    ]
    found = kinds_of(references)
    assert found["dogs"].tolist() == [True, False, False]
    assert found["children"].tolist() == [False, True, False]
    assert found["snow"].tolist() == [False, False, False]
    assert found["none of these"].tolist() == [False, False, True]


def test_people_who_say_the_same_agree_most():
    same, other = words(*["the dog runs fast"] * 3), words("a man sits", "two boys play", "some snow lies there")
    found = agreement([same, other])
    assert found == pytest.approx([10, 0])
    assert [each.tolist() for each in quarters(np.array([3.0, 1, 2, 0]))] == [[3], [1], [2], [0]]


def test_intervals_hold_the_mean_and_are_twice_the_same():
    scores = np.random.default_rng(1).normal(0.5, 0.1, 400)
    low, high = interval(scores)
    assert low < 100 * scores.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * 10 / 20, rel=0.15)  # four standard errors, nearly
    assert interval(scores) == (low, high)
    mean, least, most = difference(scores, scores - 0.2)
    assert mean == pytest.approx(20)
    assert least < 20 < most
    assert part(np.array([0.5, 0.5])) == part(np.array([0.5, 0.5]))
    assert part(np.array([0.5, 0.5])).score == 50


def test_ranks_and_repetitions_by_hand():
    assert rank_correlation(np.array([1, 2, 3]), np.array([10, 20, 90])) == pytest.approx(1)
    assert rank_correlation(np.array([1, 2, 3]), np.array([3, 2, 1])) == pytest.approx(-1)
    assert repeated(words("a dog", "a dog", "a cat")) == 2
    assert frequent(["tie", "cat", "gun", "cat", "tie", "base"], 3) == ["cat", "tie", "base"]


@pytest.fixture
def found():
    """The analysis of eight made-up photos; the model says what the first person says, or the second in their place."""
    references = [
        words(f"a dog runs {place}", f"a brown dog in the {place}", f"two dogs {place}", f"a dog {place}", "a dog")
        for place in ("grass", "snow", "water", "street", "field", "park", "road", "sea")
    ]
    beams = [[each[1], each[0]] for each in references]
    said = Said(beams, [each[0] for each in references], words("a dog")[0])
    return analyse(said, references, references, ["a", "dog", "runs"])


def test_numbers_of_made_up_photos(found):
    assert found["rare"]["words"] == 8 * 3  # of so few photos all words are rare: "a", "dog" and the place
    assert found["rare"]["known"] == 8 * 2
    assert found["candidates"]["count"] == 2
    assert found["candidates"]["first"] == found["photo"]["own"] == found["all"]["alone"]["score"]
    assert found["candidates"]["chosen"] == found["all"]["chosen"]["score"]
    assert found["candidates"]["mean"] == pytest.approx(
        (found["candidates"]["first"] + found["candidates"]["chosen"]) / 2
    )
    assert found["candidates"]["best"] >= max(found["candidates"]["first"], found["candidates"]["chosen"])
    gap = found["all"]["chosen"]["score"] - found["all"]["people"]["score"]
    assert found["all"]["gap"]["score"] == pytest.approx(gap)
    assert found["photo"]["next"] < found["photo"]["own"]
    assert found["words"]["animals"]["model"]["precision"] == 1
    assert found["kinds"]["dogs"]["chosen"]["photos"] == 8
    assert found["groundless"]["model"]["mean_length"] == 4


def test_tables_have_a_column_for_each_number(found):
    for name, make in TABLES.items():
        lines = make(found).splitlines()
        assert len({line.count("|") for line in lines}) == 1, name
    assert table("a | b", [["x", "1"]]) == "| a | b |\n|---|--:|\n| x | 1 |"


def test_tables_are_put_into_their_places():
    page = f"# Page\n\n<!-- what_decides: one -->\nold\n{END}\n\ntext\n<!-- what_decides: two -->\n{END}\n"
    made = with_tables(page, {"one": "| 1 |", "two": "| 2 |"})
    assert made.count("\n\n| 1 |\n\n") == made.count("\n\n| 2 |\n\n") == 1
    assert "old" not in made
    assert "\n\ntext\n" in made
    assert with_tables(made, {"one": "| 1 |", "two": "| 2 |"}) == made
    with pytest.raises(CaptionerError, match="the page has no place for three"):
        with_tables(page, {"three": ""})


def test_the_page_has_a_place_for_each_table():
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert with_tables(page, dict.fromkeys(TABLES, "")) != page


def test_the_figure_is_drawn_twice_the_same(found, tmp_path):
    first, second = (draw_parts(tmp_path / name, found).read_bytes() for name in ("1.svg", "2.svg"))
    assert first == second
    assert len(first) < 200_000


def test_a_missing_model_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["what_decides", "--model", str(tmp_path)])
    monkeypatch.setattr(what_decides, "find_or_download", lambda data: None)
    with pytest.raises(SystemExit, match=r"python -m benchmarks\.what_decides: .* is no model directory"):
        main()

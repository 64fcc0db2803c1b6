"""Sentences of documents against facts: what differs is found, said with its line, and put right, and nothing else."""

from pathlib import Path

import pytest

from captioner.errors import CaptionerError
from release.claims import FIELD, Difference, corrected, differences, fact, places, read_claims, written
from release.models import CLAIMS

ROOT = Path(__file__).parents[2]
FACTS = {
    "dev": {"cider": 66.649, "share": 0.296},
    "dog": {"caption": "a dog runs", "words": ["a", "dog"]},
    "text": "x\ny\n",
}
PAGE = """# Page

| model | 66.5 | 30% |
It says "a dog
sits" of the dog, and
"a dog runs" too.

```text
x
```
"""


def test_values_that_differ_are_found_with_their_lines_and_put_right():
    claims = [
        "| model | {dev.cider:.1f} | {dev.share:.0%} |",
        'It says "{dog.caption}" of the dog',
        "```text\n{text:lines}```",
    ]
    found = differences(PAGE, claims, FACTS)
    assert [(each.line, each.said, each.right) for each in found] == [
        (3, "66.5", "66.6"),
        (4, "a dog\nsits", "a dog runs"),
        (9, "x\n", "x\ny\n"),
    ]
    mended = corrected(PAGE, found)
    assert mended == PAGE.replace("66.5", "66.6").replace("a dog\nsits", "a dog runs").replace("x\n```", "x\ny\n```")
    assert differences(mended, claims, FACTS) == []


def test_a_claim_holds_over_the_ends_of_lines_and_everywhere_it_stands():
    text = "of 66.6\npoints. And of 66.0 points."
    assert [each.said for each in differences(text, ["of {dev.cider:.1f} points"], FACTS)] == ["66.0"]


def test_a_number_may_be_left_open():
    text = "BLEU-4 XX and XX"
    found = differences(text, ["BLEU-4 {dev.cider:.1f} and {dev.share:.1f}"], FACTS)
    assert corrected(text, found) == "BLEU-4 66.6 and 0.3"


def test_a_claim_that_stands_nowhere_is_told():
    (missing,) = differences(PAGE, ["gains {dev.cider:.1f} points"], FACTS)
    assert missing == Difference(1, "", "gains {dev.cider:.1f} points")
    assert corrected(PAGE, [missing]) == PAGE


def test_facts_have_names_with_parts_of_lists():
    assert fact(FACTS, "dog.words.-1") == "dog"
    for name in ("dev.bleu", "dog.words.2", "dog.words.x", "dev.cider.x"):
        with pytest.raises(CaptionerError, match=f"no fact is called {name}"):
            fact(FACTS, name)


@pytest.mark.parametrize(
    ("value", "style", "expected"),
    [
        (-0.93, ".2f", "-0.93"),
        (-0.01, ".1f", "0.0"),
        (0.5, ".2g", "0.5"),
        (0.2951, ".0%", "30%"),
        (19, "d", "19"),
        ("a", "", "a"),
    ],
)
def test_values_are_written_as_in_documents(value, style, expected):
    assert written(value, style) == expected


def test_what_a_person_reads_again_has_its_line():
    assert [each.line for each in places(PAGE, ["of the dog, and", "nowhere"])] == [5, 0]


def test_a_damaged_list_of_claims_is_named(tmp_path):
    path = tmp_path / "claims.toml"
    for text in ('["a.md"]\nlook = []\n', "claims = ", 'claims = ["a"]'):
        path.write_text(text)
        with pytest.raises(CaptionerError, match=r"claims\.toml: expected a table with `claims`"):
            read_claims(path, tmp_path)


def test_every_claim_stands_in_its_document():
    """What it says is compared by `make release-models`; this finds sentences that were reworded."""
    documents = read_claims(CLAIMS, ROOT)
    assert len(documents) >= 10
    for document in documents:
        text = document.path.read_text(encoding="utf-8")
        for claim in document.claims:
            names = [match[1] for match in FIELD.finditer(claim)]
            assert names, claim
            facts: dict = {}
            for name in names:
                facts = _with(facts, name.split("."))
            assert all(each.said for each in differences(text, [claim], facts)), claim
        missing = [each.right for each in places(text, document.look) if each.line == 0]
        assert not missing, document.path


def _with(facts: dict, parts: list[str]) -> dict:
    first, *rest = parts
    return {**facts, first: _with(facts.get(first, {}), rest) if rest else _Anything()}


class _Anything(str):
    """A value in any format."""

    def __format__(self, style: str) -> str:
        return "?"

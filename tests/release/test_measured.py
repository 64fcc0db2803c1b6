"""The sums behind the facts, the page of confidence, and examples that are run again."""

import re

import numpy as np
import pytest

from captioner.errors import CaptionerError
from release import confidence_page
from release.examples import rerun
from release.facts import certainty, check_metrics, quarters, same_digits


def test_quarters_by_hand():
    scores = np.array([-1.0, -2.0, -3.0, -4.0, -5.0, -6.0, -7.0, -8.0])
    found = quarters(scores, np.arange(8) / 10)
    assert found["limits"] == [-6.5, -4.5, -2.5]
    assert found["cider"] == pytest.approx([65, 45, 25, 5])


def test_certainty_by_hand():
    called, shares = np.array(["sure", "sure", "a guess", "a guess"]), np.array([1.0, 0.5, 0.25, 0.0])
    assert certainty(called, shares) == {
        "sure": {"captions": 0.5, "right": 0.75, "all_right": 0.5},
        "probably": {"captions": 0.0, "right": 0.0, "all_right": 0.0},
        "a_guess": {"captions": 0.5, "right": 0.125, "all_right": 0.0},
        "all": {"captions": 1.0, "right": 0.4375, "all_right": 0.25},
    }


def test_scores_are_alike_as_the_card_writes_them():
    assert same_digits({"bleu4": 19.0523, "cider": 44.0519}, {"bleu4": 19.1, "cider": 44.1})
    assert not same_digits({"bleu4": 19.0523, "cider": 44.0519}, {"bleu4": 19.1, "cider": 44.0})
    assert not same_digits({"bleu4": 19.1}, {})


def test_scores_of_other_weights_are_told(tmp_path):
    check_metrics(tmp_path, {"cider": 66.6}, {"cider": 66.7})
    with pytest.raises(CaptionerError, match=r"cider is 66\.60, but on dev the model has 64\.70"):
        check_metrics(tmp_path, {"cider": 66.6}, {"cider": 64.7})


def test_the_page_of_confidence_is_read_and_made_of_the_same():
    page = confidence_page.PAGE.read_text(encoding="utf-8")
    found = confidence_page.facts(page)
    assert set(found) == {"flickr8k", "compact"}
    assert (found["flickr8k"]["photographs"], found["flickr8k"]["pictures"]) == (22, 34)
    assert found["compact"]["rows"].count("\n") == 22
    assert found["compact"]["rows"].startswith("| astronaut | ")
    _, _, sections = page.partition("\n## ")
    printed = f"### {sections}".replace("\n## ", "\n### ") + "\n\n"
    assert confidence_page.renewed(page, printed) == page
    assert confidence_page.renewed(page, re.sub("cost: .* ms", "cost: 9.99 ms", printed)) == page
    assert confidence_page.renewed(page, printed.replace("AUROC", "auroc")) == page.replace("AUROC", "auroc")
    with pytest.raises(CaptionerError, match="the section flickr8k has no error"):
        confidence_page.facts("# Page\n\n## flickr8k\n\nnothing\n")


def test_what_examples_print_is_written_below_them():
    page = "# Page\n\n```python\nx = 2\n```\n\n```python\nprint(x + 1)\n```\n\n```text\n4\n```\n\n```text\nother\n```\n"
    assert rerun(page, "page") == page.replace("\n4\n", "\n3\n")
    with pytest.raises(CaptionerError, match="the block in line 3 ends with ZeroDivisionError"):
        rerun("# Page\n\n```python\n1 / 0\n```\n", "page")

import json

import pytest

from captioner.system.printable import HARMFUL, in_a_line, in_lines, to_json

ODD = "\x00\x1b[31m\n\r\t\x7f\x85\x9b\u2028\u2029\u202a\u202e\u2066\u2069\udcff"


def test_a_line_stays_one_line_without_anything_that_a_terminal_obeys():
    assert in_a_line("a\x1b[2J\nb\tc\x9b\u2028\u202ed\udcff") == r"a\x1b[2J\nb\tc\x9b\u2028\u202ed\udcff"
    assert in_a_line(ODD).isprintable()
    assert len(in_a_line(ODD).splitlines()) == 1


@pytest.mark.parametrize(
    "text", ["a dog", "", "강아지", "Ünïcode “x” \u00a0", "\U0001f469\u200d\U0001f33e", "\u0645\u06cc\u200c\u062e"]
)
def test_what_does_no_harm_stays(text):
    assert in_a_line(text) == in_lines(text) == text
    assert to_json(text) == json.dumps(text, ensure_ascii=False)


def test_lines_keep_their_ends():
    assert in_lines("a\n\tb\x1b\r") == "a\n\tb\\x1b\\r"


def test_json_brings_back_what_it_was_given():
    written = to_json({"image": ODD, "caption": "강아지"})
    assert HARMFUL.search(written) is None
    assert "강아지" in written
    assert json.loads(written) == {"image": ODD, "caption": "강아지"}

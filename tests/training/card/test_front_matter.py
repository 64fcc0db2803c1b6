import json
import math
import re

import pytest

from captioner.training.card.front_matter import front_matter, licence, model_index

SCORES = [("bleu", "BLEU-4", 25.32734), ("cider", "CIDEr-D", 64.0), ("rouge", "ROUGE-L", math.nan)]
FIELDS = {
    "language": None,
    **licence("flickr8k"),
    "tags": ["one", "no"],
    "model-index": model_index("mine", ("image-to-text", "Captions"), "flickr8k", {"dev": SCORES}),
}
STRANGE = [
    'a: "b" #c',
    "\\n{{",
    "- x\n---\nlicense: mit",
    "강아지 \U0001f415",
    "half \udce9",
    "\u2028\x85\x7f\ufeff",
    "~",
    "",
]

LINE = re.compile(r'(  )*(- )?([a-z-]+(_[a-z]+)?:( ("([^"\\]|\\["\\]|\\U[0-9A-F]{8})*"|-?\d+(\.\d+)?))?|"[^"\\]*")')
"""A key, alone or with a quoted string or a number, in a list or not; or a quoted string in a list."""


def test_the_lines_are_those_of_a_small_grammar():
    first, *lines, last, end = front_matter(FIELDS).split("\n")
    assert (first, last, end) == ("---", "---", "")
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    assert lines == [
        'license: "other"',
        'license_name: "flickr8k-non-commercial-research-and-education"',
        "tags:",
        '  - "one"',
        '  - "no"',
        "model-index:",
        '  - name: "mine"',
        "    results:",
        "      - task:",
        '          type: "image-to-text"',
        '          name: "Captions"',
        "        dataset:",
        '          type: "flickr8k"',
        '          name: "flickr8k, dev"',
        '          split: "dev"',
        "        metrics:",
        '          - type: "bleu"',
        '            name: "BLEU-4 (dev)"',
        "            value: 25.3273",
        '          - type: "cider"',
        '            name: "CIDEr-D (dev)"',
        "            value: 64.0",
    ]


def test_another_library_reads_the_same():
    yaml = pytest.importorskip("yaml")
    found = yaml.safe_load(front_matter(FIELDS).removesuffix("---\n"))
    assert found["tags"] == ["one", "no"]  # which YAML takes for false where it stands unquoted
    (model,) = found["model-index"]
    assert model["name"] == "mine"
    assert [(each["name"], each["value"]) for each in model["results"][0]["metrics"]] == [
        ("BLEU-4 (dev)", 25.3273),
        ("CIDEr-D (dev)", 64.0),
    ]


@pytest.mark.parametrize("value", [1e-5, 0.0, 123456789.0, 1e20, -2.5, 7])
def test_numbers_have_no_exponents(value):
    yaml = pytest.importorskip("yaml")
    found = yaml.safe_load(front_matter({"values": [value]}).removesuffix("---\n"))["values"][0]
    assert type(found) is type(value)
    assert found == pytest.approx(value, abs=5e-5)


@pytest.mark.parametrize("name", STRANGE)
def test_names_of_strangers_stay_in_their_quotes(name):
    text = front_matter({"datasets": [name], "license": "other"})
    assert len(text.split("\n")) == 6
    yaml = pytest.importorskip("yaml")
    expected = name.encode("utf-8", "backslashreplace").decode()
    assert yaml.safe_load(text.removesuffix("---\n")) == {"datasets": [expected], "license": "other"}


def test_plain_names_are_json():
    (line,) = re.findall('  - (".*")', front_matter({"datasets": ['a "b" \\ 강아지']}))
    assert json.loads(line) == 'a "b" \\ 강아지'


def test_a_model_without_scores_has_no_index():
    assert model_index("mine", ("text-generation", "Text"), "mine", {"dev": [("bleu", "BLEU-4", math.inf)]}) == []


@pytest.mark.parametrize(("data", "expected"), [("flickr8k-captions", "non-commercial"), ("holiday", "terms")])
def test_the_licence_is_that_of_the_data(data, expected):
    assert licence(data)["license"] == "other"
    assert expected in licence(data)["license_name"]

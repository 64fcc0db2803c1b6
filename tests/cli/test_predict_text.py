import json
import math
import os
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from captioner.cli.main import main
from captioner.cli.surprisal import surprisal_page
from captioner.config.model import CharModelConfig
from captioner.data import encoding
from captioner.metrics.likelihood import likelihood
from captioner.model_files.directory import WEIGHTS, describe, write_model
from captioner.runtime.char_lm import LanguageModel
from captioner.runtime.char_network import weight_shapes
from captioner.text import CharacterVocabulary

TEXT = "ab cd\n나라 e"


@pytest.fixture
def directory(tmp_path):
    """A character model with random weights."""
    vocabulary = CharacterVocabulary.build(TEXT)
    config = CharModelConfig("rnn", 1, 6, 4, 0.0, True, len(vocabulary))
    rng = np.random.default_rng(1)
    weights = {name: rng.uniform(-1, 1, shape).astype(np.float32) for name, shape in weight_shapes(config).items()}
    write_model(tmp_path / "model", config, vocabulary, {WEIGHTS: weights})
    return tmp_path / "model"


@pytest.fixture
def predict(directory, capsys):
    def run(*arguments):
        status = main(["predict", "--model", str(directory), *map(str, arguments)])
        return (status, *capsys.readouterr())

    return run


def test_a_prompt_is_gone_on_with(predict, directory):
    status, out, err = predict("--prompt", "나라 ", "--length", 30, "--seed", 5)
    assert (status, err) == (0, "")
    assert out.startswith("나라 ")
    assert len(out.rstrip("\n")) <= 33 <= len(out)
    assert out.endswith("\n")
    assert predict("--prompt", "나라 ", "--length", 30, "--seed", 5)[1] == out
    assert predict("--prompt", "나라 ", "--length", 30, "--seed", 6)[1] != out


def test_settings_reach_the_sampler(predict, directory):
    model = LanguageModel.load(directory)
    rng = np.random.default_rng(np.random.SeedSequence(5, spawn_key=(0,)))
    expected = "ab" + "".join(model.generate("ab", 25, 0.5, 4, 0.8, rng))
    settings = ["--length", "25", "--temperature", "0.5", "--top-k", "4", "--top-p", "0.8", "--seed", "5"]
    assert json.loads(predict("--prompt", "ab", *settings, "--format", "json")[1]) == {"prompt": "ab", "text": expected}


def test_several_samples_and_each_is_the_same_however_many(predict):
    settings = ["--prompt", "ab", "--length", "20", "--seed", "5"]
    two, three = (predict(*settings, "--num-samples", count, "--format", "json")[1].splitlines() for count in (2, 3))
    assert [json.loads(line)["sample"] for line in three] == [1, 2, 3]
    assert three[:2] == two
    assert len({json.loads(line)["text"] for line in three}) == 3
    text = predict(*settings, "--num-samples", 2)[1]
    assert re.fullmatch(r"--- 1 ---\nab(.|\n)*\n--- 2 ---\nab(.|\n)*\n", text)


def test_it_stops_behind_a_text(predict):
    settings = ["--prompt", "ab", "--length", "60", "--seed", "5", "--format", "json"]
    whole = json.loads(predict(*settings)[1])["text"]
    stop = whole[7:9]
    text = json.loads(predict(*settings, "--stop", stop)[1])["text"]
    assert text == whole[: whole.index(stop, 2) + 2]
    status, out, err = predict(*settings, "--stop", "?!")
    assert (status, json.loads(out)["text"]) == (0, whole)
    assert err == "captioner: --stop: the model does not know '?', '!', so that it never writes this text\n"


def test_without_a_seed_each_call_makes_another_text(predict):
    assert len({predict("--prompt", "ab", "--length", 30)[1] for _ in range(3)}) == 3


def test_an_unknown_character_of_the_prompt_is_named_and_dropped(predict):
    status, out, err = predict("--prompt", "a?한b", "--length", 5, "--seed", 1)
    assert status == 0
    assert err == "captioner: --prompt: the model does not know '?', '한'; left out\n"
    assert out == predict("--prompt", "ab", "--length", 5, "--seed", 1)[1]


def test_an_empty_prompt_begins_a_text(predict):
    status, out, err = predict("--prompt", "", "--length", 9, "--seed", 1)
    assert (status, err) == (0, "")
    assert 9 <= len(out) <= 10


def test_the_text_comes_as_it_is_made(directory, monkeypatch):
    writes = []

    class Terminal:
        def write(self, text):
            writes.append(text)

        def flush(self):
            writes.append("flushed")

    monkeypatch.setattr("sys.stdout", Terminal())
    assert main(["predict", "--model", str(directory), "--prompt", "ab", "--length", "3", "--temperature", "0"]) == 0
    assert writes[:2] == ["ab", "flushed"]
    assert [len(text) for text in writes[2:8:2]] == [1, 1, 1]
    assert writes[3:8:2] == ["flushed"] * 3


def test_suggestions_with_their_probabilities(predict, directory):
    expected = LanguageModel.load(directory).suggest("나라 a", 3)
    status, out, err = predict("--prompt", "나라 a", "--suggest", 3)
    assert (status, err) == (0, "")
    lines = [line.split("\t") for line in out.splitlines()]
    assert [(float(probability), json.loads(text)) for probability, text in lines] == [
        (round(each.probability, 4), each.text) for each in expected
    ]
    found = json.loads(predict("--prompt", "나라 a", "--suggest", 3, "--format", "json")[1])
    assert found == {"prompt": "나라 a", "suggestions": [vars(each) for each in expected]}


def test_the_score_of_a_file(predict, directory, tmp_path):
    (tmp_path / "text.txt").write_bytes("나라 ab\ncd".encode())
    surprisals = LanguageModel.load(directory).surprisals("나라 ab\ncd")
    status, out, err = predict("--score", tmp_path / "text.txt", "--format", "json")
    assert (status, err) == (0, "")
    scores = json.loads(out)
    assert set(scores) == {"log_probability", "characters", "nats_per_char", "bits_per_char", "perplexity"}
    assert scores["characters"] == 8
    assert scores["log_probability"] == pytest.approx(-surprisals.sum(), rel=1e-6)
    assert scores["nats_per_char"] == pytest.approx(surprisals.mean(), rel=1e-6)
    assert scores["bits_per_char"] == pytest.approx(scores["nats_per_char"] / math.log(2))
    assert scores["perplexity"] == pytest.approx(math.exp(scores["nats_per_char"]))
    lines = dict(line.rsplit("  ", 1) for line in predict("--score", tmp_path / "text.txt")[1].splitlines())
    assert {name.strip() for name in lines} == {name.replace("_", " ") for name in scores}
    assert float(lines["nats per char  "[: len("nats per char  ")]]) == pytest.approx(scores["nats_per_char"], abs=1e-4)


def test_line_ends_of_windows_are_scored_as_those_that_the_model_knows(predict, tmp_path):
    (tmp_path / "unix.txt").write_bytes(b"ab\ncd\n")
    (tmp_path / "windows.txt").write_bytes(b"ab\r\ncd\r\n")
    expected = predict("--score", tmp_path / "unix.txt")
    assert expected[0] == 0
    assert predict("--score", tmp_path / "windows.txt") == expected


def test_a_model_that_knows_the_line_ends_of_windows_scores_them(tmp_path, capsys):
    vocabulary = CharacterVocabulary.build("a\r\n")
    config = CharModelConfig("rnn", 1, 6, 4, 0.0, True, len(vocabulary))
    weights = {name: np.ones(shape, np.float32) for name, shape in weight_shapes(config).items()}
    write_model(tmp_path / "model", config, vocabulary, {WEIGHTS: weights})
    (tmp_path / "text.txt").write_bytes(b"a\r\na")
    assert main(["predict", "--model", str(tmp_path / "model"), "--score", str(tmp_path / "text.txt")]) == 0
    assert "characters       4" in capsys.readouterr().out


@pytest.mark.parametrize("seekable", [True, False])
def test_a_text_comes_from_standard_input(predict, tmp_path, seekable):
    (tmp_path / "text.txt").write_bytes("나라 ab\ncd".encode())
    expected = predict("--score", tmp_path / "text.txt")
    kept = os.dup(0)
    try:
        with (tmp_path / "text.txt").open("rb") if seekable else os.fdopen(_piped("나라 ab\ncd".encode())) as file:
            os.dup2(file.fileno(), 0)
        assert predict("--score", "-") == expected
    finally:
        os.dup2(kept, 0)
        os.close(kept)


def _piped(content):
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as file:
        file.write(content)
    return reading


def test_unknown_characters_of_a_scored_text_are_told(predict, tmp_path):
    (tmp_path / "text.txt").write_text("a?")
    status, out, err = predict("--score", tmp_path / "text.txt", "--format", "json")
    assert status == 0
    assert "text.txt: the model does not know '?'; scored as <unk>" in err
    assert json.loads(out)["characters"] == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty; there is nothing to score"), (b"\xff\xff", "is not UTF-8"), (None, "cannot read")],
)
def test_a_text_that_cannot_be_scored_is_refused(predict, tmp_path, content, message):
    if content is not None:
        (tmp_path / "text.txt").write_bytes(content)
    status, out, err = predict("--score", tmp_path / "text.txt")
    assert (status, out) == (1, "")
    assert message in err


def test_the_page_of_surprise(predict, tmp_path):
    (tmp_path / "text.txt").write_text("ab\ncd")
    page = tmp_path / "page.html"
    assert predict("--score", tmp_path / "text.txt", "--surprise", page)[0] == 0
    assert page.read_text().count("<i class=") == 5
    status, *_ = predict("--prompt", "ab", "--length", 7, "--seed", 1, "--surprise", page)
    assert status == 0
    assert page.read_text().count("<i class=") == 9


def test_what_a_page_shows():
    page = surprisal_page("a<\n\x07", [math.log(2) * bits for bits in (0.4, 3.0, 25.0, 1.0)])
    body = page.split('<main lang="">')[1]
    assert '<i class="b0" title="0.4">a</i>' in body
    assert '<i class="b3" title="3.0">&lt;</i>' in body
    assert '<i class="b10" title="25.0">\u21b5\n</i>' in body
    assert '<i class="b1" title="1.0">\u2407</i>' in body
    assert "4 characters, " in page
    assert "7.350 bits a character, from 0.4 to 25.0 bits" in page
    assert "no characters" in surprisal_page("", [])


def test_the_scale_of_surprise_has_its_ends_in_numbers():
    page = surprisal_page("a", [math.log(2)])
    steps = re.findall(r'<li class="b(\d+)"><b>([^<]+)</b> <small>([^<]+)</small></li>', page)
    assert [int(shade) for shade, *_ in steps] == list(range(11))
    assert steps[0] == ("0", "0", "certain")
    assert steps[3] == ("3", "3", "1 in 8")  # 2 ** -3
    assert steps[10] == ("10", "10 and more", "1 in 1,024 or less")
    for shade, *_ in steps:
        assert f".b{shade} {{ background: " in page


class _Tags(HTMLParser):
    """Checks that what is opened is closed, in its order, and keeps the text of some elements."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.found, self.attributes = [], {}, {}

    def handle_starttag(self, tag, attrs):
        self.attributes.setdefault(tag, []).append(dict(attrs))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open:
            self.found[self.open[-1]] = self.found.get(self.open[-1], "") + data


def test_the_page_of_surprise_is_whole_and_fits_a_phone():
    tags = _Tags()
    tags.feed(surprisal_page("a<b>&", [0.5] * 5))
    assert tags.open == []
    assert tags.found["i"] == "a<b>&"
    assert tags.found["title"] == tags.found["h1"] == "The surprise of each character"
    assert tags.attributes["html"] == [{"lang": "en"}]
    assert tags.attributes["main"] == [{"lang": ""}]  # the language of the text is unknown
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in tags.attributes["meta"]


def test_into_a_file(predict, tmp_path):
    status, out, _ = predict("--prompt", "ab", "--length", 9, "--seed", 1, "--output", tmp_path / "out.txt")
    assert (status, out) == (0, "")
    assert (tmp_path / "out.txt").read_text() == predict("--prompt", "ab", "--length", 9, "--seed", 1)[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("photo.jpg", "photo.jpg: .*model is a character language model and sees no photos"),
        ("photo.jpg --prompt a", "photo.jpg: for photos, but --prompt for a language model"),
        ("--beam-width 3 --attention x.png --prompt a", "--beam-width, --attention: for photos, but --prompt"),
        ("", "give --prompt or --score"),
        ("--length 5", "needs --prompt TEXT or --score FILE"),
        ("--suggest 3", "needs --prompt TEXT or --score FILE"),
        ("--surprise x.html", "needs --prompt TEXT or --score FILE"),
        ("--adapt", "needs --prompt TEXT or --score FILE"),
        ("--prompt a --adapt", "--adapt says how --score reads a text; give --score FILE, or leave out --adapt"),
        ("photo.jpg --adapt", "photo.jpg: for photos, but --adapt for a language model"),
        ("--prompt a --score b.txt", "--prompt and --score are two requests"),
        ("--score b.txt --suggest 3", "--suggest goes with --prompt"),
        ("--score b.txt --top-k 3", "--top-k: only for writing text"),
        ("--prompt a --suggest 3 --seed 1", "--seed: only for writing text"),
        ("--prompt a --format csv", "--format csv: only for captions"),
        ("--prompt a --surprise x.html --num-samples 2", "--surprise shows one text"),
    ],
)
def test_requests_that_make_no_sense_are_wrong_usage(predict, arguments, message):
    status, out, err = predict(*arguments.split())
    assert (status, out) == (2, "")
    assert re.search(message, err)
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    ["--temperature -1", "--top-p 0", "--top-p 1.5", "--top-k -1", "--length x", "--suggest 0", "--num-samples 0"],
)
def test_values_out_of_bounds_are_wrong_usage(predict, arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        predict("--prompt", "a", *arguments.split())
    assert caught.value.code == 2
    assert arguments.split()[0] in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--prompt", "a"], ["--score", "a.txt"]])
def test_a_captioning_model_does_not_speak(tmp_path, capsys, arguments):
    from captioner.config.model import ModelConfig

    describe(tmp_path, ModelConfig(), [])
    assert main(["predict", "--model", str(tmp_path), *arguments]) == 2
    assert f"{arguments[0]}: {tmp_path} is a captioning model; give photos" in capsys.readouterr().err


def test_what_is_no_model_is_named(tmp_path, capsys):
    assert main(["predict", "--model", str(tmp_path / "gone"), "--prompt", "a"]) == 1
    assert "gone is no model directory (config.json is missing)" in capsys.readouterr().err


def test_a_text_is_scored_in_pieces_as_its_whole(predict, directory, tmp_path, monkeypatch):
    monkeypatch.setattr(encoding, "PIECE", 7)
    text = "나라 ab\r\ncd e\u1112\u1161 " * 400
    (tmp_path / "text.txt").write_bytes(b"\xef\xbb\xbf" + text.encode())
    status, out, err = predict("--score", tmp_path / "text.txt", "--format", "json", "--surprise", tmp_path / "a.html")
    assert status == 0
    assert err.endswith("text.txt: the model does not know '\u1112', '\u1161'; scored as <unk>\n")
    text = text.replace("\r\n", "\n")
    surprisals = LanguageModel.load(directory).surprisals(text)
    assert json.loads(out) == likelihood(surprisals)
    assert (tmp_path / "a.html").read_text() == surprisal_page(text, surprisals)


def test_no_more_than_ten_unknown_characters_are_named(predict, tmp_path, monkeypatch):
    monkeypatch.setattr(encoding, "PIECE", 3)
    (tmp_path / "text.txt").write_text("abPQRSTUVWXYZ")
    _, _, err = predict("--score", tmp_path / "text.txt")
    assert "'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', ...; scored as <unk>" in err
    (tmp_path / "text.txt").write_text("abPQRSTUVWXYPQ")
    _, _, err = predict("--score", tmp_path / "text.txt")
    assert "'W', 'X', 'Y'; scored as <unk>" in err


def test_what_is_wrong_at_the_end_of_a_text_is_told_before_it_is_scored(predict, tmp_path, monkeypatch):
    monkeypatch.setattr(encoding, "PIECE", 10)
    monkeypatch.setattr(LanguageModel, "stream_surprisals", None)
    (tmp_path / "text.txt").write_bytes(b"ab cd\n" * 100 + b"\xff")
    status, out, err = predict("--score", tmp_path / "text.txt", "--surprise", tmp_path / "page.html")
    assert (status, out) == (1, "")
    assert "text.txt is not UTF-8 (byte 0xff at position 600) in line 101" in err
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["text.txt"]


def test_ctrl_c_leaves_no_half_page(predict, tmp_path, monkeypatch):
    (tmp_path / "text.txt").write_text("ab cd" * 9)
    page = tmp_path / "pages" / "page.html"

    def interrupted(self, pieces, adapt):
        yield "ab", np.zeros(2, np.float32)
        assert [path.name for path in page.parent.iterdir()] != []  # it is being written
        raise KeyboardInterrupt

    monkeypatch.setattr(LanguageModel, "stream_surprisals", interrupted)
    status, out, _ = predict("--score", tmp_path / "text.txt", "--surprise", page)
    assert (status, out) == (130, "")
    assert list(page.parent.iterdir()) == []


@pytest.mark.parametrize("later", [b"", b"ab"])
def test_a_text_that_changes_while_it_is_scored_has_no_score(predict, tmp_path, monkeypatch, later):
    path, real = tmp_path / "text.txt", LanguageModel.stream_surprisals
    path.write_text("ab cd" * 9)

    def changed(self, pieces, adapt):
        path.write_bytes(later)
        return real(self, pieces, adapt)

    monkeypatch.setattr(LanguageModel, "stream_surprisals", changed)
    status, out, err = predict("--score", path, "--surprise", tmp_path / "page.html")
    assert (status, out) == (1, "")
    assert err == f"captioner: the text {path} changed while it was scored; run the same command again\n"
    assert not (tmp_path / "page.html").exists()


def test_an_adapted_score_says_so(predict, directory, tmp_path):
    text = "ab cd 나라 e" * 40
    (tmp_path / "text.txt").write_text(text)
    options = ["--score", tmp_path / "text.txt", "--adapt", "--surprise", tmp_path / "page.html"]
    status, out, err = predict(*options, "--format", "json")
    assert (status, err) == (0, "")
    scores = json.loads(out)
    surprisals = LanguageModel.load(directory).surprisals(text, adapt=True)
    assert scores == {"adapted": True} | likelihood(surprisals)
    static = json.loads(predict("--score", tmp_path / "text.txt", "--format", "json")[1])
    assert "adapted" not in static
    assert scores["nats_per_char"] < 0.5 * static["nats_per_char"]
    page = (tmp_path / "page.html").read_text()
    assert "<p>The model adapted to the text" in page
    assert page.count("<i class=") == len(text)
    assert f"{scores['nats_per_char']:.3f} nats" in page
    assert predict(*options)[1].startswith("adapted to the text while reading it\nlog probability  ")
    predict(*options[:2], *options[3:])
    assert "adapted" not in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize("option", ["--output", "--surprise"])
def test_a_text_is_not_replaced_by_what_is_made_of_it(predict, tmp_path, option):
    text = tmp_path / "text.txt"
    text.write_text("ab cd")
    status, out, err = predict("--score", text, option, text)
    assert (status, out) == (2, "")
    assert f"{option} {text}: would take the place of {text}, which is read; name another file" in err
    assert text.read_text() == "ab cd"


def test_a_page_of_surprise_takes_the_place_of_its_like_alone(predict, tmp_path):
    page = tmp_path / "page.html"
    page.write_bytes(b"<!DOCTYPE html>\n<html lang='en'>\n<p>mine")
    status, out, err = predict("--prompt", "ab", "--surprise", page)
    assert (status, out) == (2, "")
    assert f"--surprise {page}: holds something else, which would be lost; name another file" in err
    page.unlink()
    for _ in range(2):
        assert predict("--prompt", "ab", "--length", 5, "--surprise", page)[0] == 0
    status, _, err = predict("--prompt", "ab", "--output", page, "--surprise", page)
    assert status == 2
    assert f"--output and --surprise would both write to {page}; name another" in err

import json
from dataclasses import replace

import numpy as np
import pytest

from captioner.config.decoding import DecodingConfig
from captioner.decoding.hypothesis import Hypothesis
from captioner.metrics.cider import CiderD
from captioner.metrics.score import score
from captioner.text import Vocabulary
from captioner.training import evaluation
from captioner.training.evaluation import (
    caption_split,
    describe_captions,
    score_captions,
    tune_decoding,
    write_predictions,
)
from captioner.training.inputs.split import Split

DECODING = DecodingConfig(4, 0.7, 12, 3)
WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
VOCABULARY = Vocabulary.build([WORDS])


def split_of(*references):
    features = np.zeros((len(references), 1, 1), np.float16)
    names = [f"{number}.jpg" for number in range(len(references))]
    return Split(features, range(len(references)), references, names)


def hypothesis(words, log_prob):
    return Hypothesis(tuple(VOCABULARY.encode(words, 20)[:-1]), log_prob, 0.0, True, None)


@pytest.fixture
def few_are_enough(monkeypatch):
    monkeypatch.setattr(evaluation, "ENOUGH_PHOTOS", 1)


@pytest.fixture
def search(monkeypatch):
    """Returns a function that makes the search find what is given for each beam width."""

    def script(beams):
        tried = []

        def caption_split(model, split, decoding):
            assert decoding == DecodingConfig(decoding.beam_width, 0.0, 12, 3)
            tried.append(decoding.beam_width)
            return beams[decoding.beam_width]

        monkeypatch.setattr(evaluation, "caption_split", caption_split)
        return tried

    return script


@pytest.mark.usefixtures("few_are_enough")
def test_the_best_width_and_penalty_are_found(search):
    right, other = WORDS[:6], WORDS[4:]
    short = [hypothesis(["one"], -2.0), hypothesis(["two"], -2.5)]
    # Scores are log_prob / length ** penalty, with the end counted in the length: -2 / 2 ** p for the short caption,
    # -6 / 7 ** p for the long one. The long one is ahead when 3.5 ** p > 3, so when p > 0.877.
    wide = [hypothesis(["one"], -2.0), hypothesis(right, -6.0)]
    tried = search({1: [short, short], 2: [wide, [hypothesis(other, -1.0)]], 3: [short, short]})
    split = split_of([right, WORDS[:5]], [other])
    decoding, captions = tune_decoding(
        None, VOCABULARY, split, DECODING, beam_widths=(1, 2, 3), length_penalties=(0.0, 0.5, 0.8, 0.9, 1.0)
    )
    assert tried == [1, 2, 3]
    assert decoding == DecodingConfig(2, 0.9, 12, 3)
    assert captions == [right, other]


@pytest.mark.usefixtures("few_are_enough")
def test_of_equals_the_narrowest_beam_and_the_lowest_penalty_win(search):
    beams = [[hypothesis(WORDS, -3.0)], [hypothesis(WORDS[:5], -3.0)]]
    search(dict.fromkeys((1, 2, 3), beams))
    decoding, captions = tune_decoding(
        None, VOCABULARY, split_of([WORDS], [WORDS[2:7]]), DECODING, (1, 2, 3), (0.3, 0.6)
    )
    assert decoding == DecodingConfig(1, 0.3, 12, 3)
    assert captions == [WORDS, WORDS[:5]]


@pytest.mark.usefixtures("few_are_enough")
def test_captions_without_words_can_still_be_tuned(search):
    search({1: [[hypothesis([], -1.0)]]})
    decoding, captions = tune_decoding(None, VOCABULARY, split_of([WORDS]), DECODING, (1,), (0.0, 1.0))
    assert (decoding.beam_width, decoding.length_penalty, captions) == (1, 0.0, [[]])


def test_a_handful_of_photos_does_not_choose_the_search(search, caplog):
    caplog.set_level("INFO", logger="captioner")
    own = replace(DECODING, length_penalty=0.0)
    tried = search({1: [[hypothesis(WORDS, -9.0)]] * 99, 4: [[hypothesis(WORDS[:5], -3.0)]] * 99})
    decoding, captions = tune_decoding(None, VOCABULARY, split_of(*[[WORDS]] * 99), own, (1,), (0.3,))
    assert (decoding, tried) == (own, [4])
    assert captions == [WORDS[:5]] * 99
    assert caplog.messages == [
        "99 dev photos are too few to choose a search on; beam width 4 and length penalty 0 stay"
    ]


def test_predictions_are_json_lines(tmp_path):
    split = split_of([["a", "dog"], ["one", "big", "dog"]], [["ein", "hündchen"]])
    write_predictions(tmp_path / "found" / "dev.jsonl", split, [["a", "dog", "runs"], []])
    written = (tmp_path / "found" / "dev.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line) for line in written.splitlines()] == [
        {"image": "0.jpg", "caption": "a dog runs", "references": ["a dog", "one big dog"]},
        {"image": "1.jpg", "caption": "", "references": ["ein hündchen"]},
    ]
    assert "hündchen" in written
    assert written.endswith("\n")


def test_scores_come_with_how_they_came_about():
    captions, references = [["a", "dog", "runs"], ["a", "cat"]], [[["a", "dog", "runs"]], [["two", "cats"]]]
    metrics = score_captions(captions, split_of(*references), "test", DECODING)
    names = ["bleu1", "bleu2", "bleu3", "bleu4", "rouge_l", "cider"]
    assert list(metrics) == [*names, "images", "beam_width", "length_penalty", "no_repeat_ngram_size", "split"]
    assert {name: metrics[name] for name in names} == score(captions, references)
    assert metrics["bleu1"] == pytest.approx(100 * 3 / 5)
    assert (metrics["images"], metrics["split"]) == (2, "test")
    assert [metrics[name] for name in ("beam_width", "length_penalty", "no_repeat_ngram_size")] == [4, 0.7, 3]


def test_a_split_is_searched_in_batches_by_its_rows(make_split, make_network, vocabulary, monkeypatch):
    network, whole = make_network(len(vocabulary), seed=3), make_split(5, seed=1)
    rows = [4, 0, 3]
    split = Split(whole.features, rows, [whole.captions[row] for row in rows], [whole.names[row] for row in rows])
    decoding = DecodingConfig(2, 0.7, 5)
    all_at_once = caption_split(network, whole, decoding)
    monkeypatch.setattr(evaluation, "BATCH_SIZE", 2)
    found = caption_split(network, split, decoding)
    assert [beam[0].tokens for beam in found] == [all_at_once[row][0].tokens for row in rows]
    assert len({beam[0].log_prob for beam in found}) == 3, "photos that look alike to the model prove nothing"


def test_examples_are_those_that_the_scores_choose():
    references = [[["a", "dog", "runs", "fast", str(number)]] for number in range(9)]
    captions = [each[0][:5] for each in references]
    for number in range(9):
        captions[number] = captions[number][: 1 + number % 5] + ["x"] * number  # worse and worse, in no order
    split = Split(np.zeros((9, 1, 1)), range(9), references, [f"{number}.jpg" for number in range(9)])
    found = describe_captions(captions, split, [])
    cider = CiderD(references)
    scores = sorted((100 * cider.score(number, captions[number]) for number in range(9)), reverse=True)
    assert [each["cider"] for each in found["examples"]["best"]] == scores[:3]
    assert [each["cider"] for each in found["examples"]["median"]] == scores[3:6]
    assert [each["cider"] for each in found["examples"]["worst"]] == scores[6:]
    best = found["examples"]["best"][0]
    number = int(best["image"].removesuffix(".jpg"))
    assert (best["caption"], best["reference"]) == (" ".join(captions[number]), " ".join(references[number][0]))

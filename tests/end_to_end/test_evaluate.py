import json

import pytest
from PIL import Image
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from captioner.training import evaluation

KEYS = [
    *("bleu1", "bleu2", "bleu3", "bleu4", "rouge_l", "cider"),
    *("images", "beam_width", "length_penalty", "no_repeat_ngram_size", "split"),
]


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_dev_scores_are_those_of_the_training(evaluate, model, tmp_path):
    outcome = evaluate("--split", "dev", "--json", tmp_path / "dev.json")
    assert outcome.status == 0
    scores = json.loads((tmp_path / "dev.json").read_text())
    assert list(scores) == KEYS
    trained = json.loads((model / "metrics.json").read_text())
    assert scores["bleu1"] > 0
    assert scores == {key: pytest.approx(trained[key]) for key in KEYS}
    assert outcome.out.startswith("4 dev photos, beam width ")
    assert "lost.png" in outcome.err, "issues are shown on stderr"


def test_test_scores_agree_with_the_standard_scorer(evaluate, tmp_path):
    outcome = evaluate("--split", "test", "--json", tmp_path / "test.json", "--predictions", tmp_path / "test.jsonl")
    assert outcome.status == 0
    scores, predictions = json.loads((tmp_path / "test.json").read_text()), read(tmp_path / "test.jsonl")
    assert (scores["split"], scores["images"]) == ("test", 2)
    assert [list(each) for each in predictions] == [["image", "caption", "references"]] * 2
    assert [each["image"] for each in predictions] == ["yellow_square.png", "yellow_stripe.png"]
    assert predictions[0]["references"] == ["a yellow square", "one yellow square", "the yellow square"]

    captions = {number: [each["caption"]] for number, each in enumerate(predictions)}
    references = {number: each["references"] for number, each in enumerate(predictions)}
    bleu, _ = Bleu(4).compute_score(references, captions, verbose=0)
    rouge, _ = Rouge().compute_score(references, captions)
    cider, _ = Cider().compute_score(references, captions)
    expected = [*bleu, rouge, cider]
    # The standard scorer gives up to 8e-4 where no n-gram matches, and not 0.
    assert [scores[key] for key in KEYS[:6]] == pytest.approx([100 * value for value in expected], abs=1e-3)
    assert scores["rouge_l"] > 0


def test_captions_are_those_of_predict(evaluate, predict, photos, tmp_path):
    evaluate("--split", "dev", "--predictions", tmp_path / "dev.jsonl")
    found = read(tmp_path / "dev.jsonl")
    said = predict(*(photos / each["image"] for each in found), "--format", "json").out.splitlines()
    assert [each["caption"] for each in found] == [json.loads(line)["caption"] for line in said]


def test_how_to_search_can_be_asked_for(evaluate, tmp_path):
    asked = ("--beam-width", 7, "--length-penalty", 0.25, "--no-repeat-ngram-size", 1)
    outcome = evaluate("--split", "dev", *asked, "--json", tmp_path / "dev.json")
    assert outcome.status == 0
    scores = json.loads((tmp_path / "dev.json").read_text())
    assert [scores[name] for name in ("beam_width", "length_penalty", "no_repeat_ngram_size")] == [7, 0.25, 1]


def test_predictions_are_written_before_they_are_scored(evaluate, tmp_path, monkeypatch):
    def score(captions, references):
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluation, "score", score)
    outcome = evaluate("--split", "dev", "--json", tmp_path / "dev.json", "--predictions", tmp_path / "dev.jsonl")
    assert (outcome.status, outcome.out) == (130, "")
    assert len(read(tmp_path / "dev.jsonl")) == 4
    assert not (tmp_path / "dev.json").exists()


def test_a_split_that_is_not_there_is_named(evaluate, other_data):
    outcome = evaluate("--split", "test", "--data", other_data)
    assert outcome.status == 1
    assert "the test split of my_photos holds no photos; those that do: train (4 photos), dev (2 photos)" in outcome.err


@pytest.mark.parametrize("name", ["gallery.xyz", "gallery"])
def test_a_gallery_that_is_no_picture_is_refused_before_the_work(evaluate, tmp_path, name):
    outcome = evaluate("--split", "dev", "--gallery", tmp_path / name)
    assert (outcome.status, outcome.out) == (2, "")
    assert f"--gallery {tmp_path / name}: expected a picture such as {tmp_path / name}.png" in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_a_gallery_is_drawn(evaluate, tmp_path):
    outcome = evaluate("--split", "dev", "--gallery", tmp_path / "gallery.png")
    assert outcome.status == 0
    with Image.open(tmp_path / "gallery.png") as picture:
        assert picture.width > 600
        assert picture.height > 900
        assert len(picture.convert("RGB").getcolors(2**24)) > 50

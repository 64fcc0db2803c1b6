import csv
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from captioner.text import Vocabulary


def lines(outcome):
    assert outcome.status == 0
    return outcome.out.splitlines()


def test_one_photo_gives_its_caption_alone(predict, photos, model):
    outcome = predict(photos / "red_circle.png")
    (caption,) = lines(outcome)
    words = caption.split()
    assert words
    assert set(words) <= set(Vocabulary.load(model / "vocabulary.json").tokens[4:])
    assert outcome.err == ""


def test_the_first_time_says_what_takes_so_long(prepared, model):
    assert len(lines(prepared)) == 1
    assert prepared.err.startswith(f"captioner: preparing {model} for fast starts")
    assert prepared.err.count("\n") == 1


def test_several_photos_give_path_and_caption_in_their_order(predict, photos):
    paths = [str(photos / name) for name in ("red_circle.png", "blue_stripe.png", "green_square.png")]
    outcome = predict(*paths)
    assert "0%" not in outcome.err, "no progress bar for what takes a moment"
    found = lines(outcome)
    assert [line.split("\t")[0] for line in found] == paths
    alone = lines(predict(paths[0]))
    assert found[0].split("\t")[1] == alone[0]


def test_a_folder_and_a_pattern(predict, data, photos):
    in_folder = lines(predict(data))  # it lies deeper
    assert [line.split("\t")[0] for line in in_folder] == [str(path) for path in sorted(photos.iterdir())]
    matched = lines(predict(photos / "red_*.png"))
    assert matched == [line for line in in_folder if "/red_" in line.replace("\\", "/")]
    assert len(matched) == 4


def test_json_has_candidates_best_first(predict, photos):
    paths = [str(photos / f"{colour}_circle.png") for colour in ("red", "green", "blue")]
    found = [json.loads(line) for line in lines(predict(*paths, "--format", "json", "--num-captions", 4))]
    assert [each["image"] for each in found] == paths
    for each in found:
        assert list(each) == ["image", "caption", "score", "confidence", "familiar", "candidates"]
        scores = [candidate["score"] for candidate in each["candidates"]]
        assert len(scores) == 4
        assert scores == sorted(scores, reverse=True)
        assert max(scores) < 0
        assert each["candidates"][0] == {name: each[name] for name in ("caption", "score", "confidence")}
        assert len({candidate["caption"] for candidate in each["candidates"]}) == 4
    assert len({each["score"] for each in found}) == 3, "photos make no difference"


def test_csv_in_a_file(predict, photos, tmp_path):
    outcome = predict(photos / "red_circle.png", "--format", "csv", "--output", tmp_path / "new" / "captions.csv")
    assert lines(outcome) == []
    text = (tmp_path / "new" / "captions.csv").read_text()
    header, row = csv.reader(io.StringIO(text))
    assert header == ["image", "caption", "score", "confidence", "familiar"]
    caption = lines(predict(photos / "red_circle.png"))[0]
    assert row[:2] == [str(photos / "red_circle.png"), caption]
    assert float(row[2]) < 0


def test_several_captions_as_text(predict, photos):
    photo = photos / "red_circle.png"
    alone = lines(predict(photo, "--num-captions", 3))
    assert len(set(alone)) == 3
    twice = lines(predict(photo, photos / "blue_circle.png", "--num-captions", 3))
    assert twice[:3] == [f"{photo}\t{caption}" for caption in alone]
    assert len(twice) == 6


def test_greedy_search_and_a_length_penalty_can_be_asked_for(predict, photos):
    def best(*options):
        return json.loads(lines(predict(photos / "red_circle.png", "--format", "json", *options))[0])

    plain, normalised = best("--beam-width", 1, "--length-penalty", 0), best("--beam-width", 1, "--length-penalty", 1)
    assert plain["caption"] == normalised["caption"]  # one sentence, scored in two ways
    tokens = len(plain["caption"].split()) + 1
    assert normalised["score"] == pytest.approx(plain["score"] / tokens, rel=1e-4)


def test_where_it_looked_as_a_file(predict, photos, tmp_path):
    caption = lines(predict(photos / "red_circle.png", "--attention", tmp_path / "looked.png"))[0]
    with Image.open(tmp_path / "looked.png") as picture:
        assert picture.width > 100 * min(5, len(caption.split()) + 1)
        assert len(np.unique(np.asarray(picture.convert("L")))) > 20


def test_where_it_looked_as_a_folder(predict, photos, tmp_path):
    lines(predict(photos / "red_circle.png", photos / "blue_stripe.png", "--attention", tmp_path / "looked"))
    assert sorted(path.name for path in (tmp_path / "looked").iterdir()) == ["blue_stripe.png", "red_circle.png"]


def test_a_model_can_be_moved(predict, model, photos, encoder_weights, command, tmp_path):
    shutil.copytree(model, tmp_path / "moved")
    arguments = [photos / "red_circle.png", "--format", "json"]
    moved = command("predict", "--model", tmp_path / "moved", "--encoder-weights", encoder_weights, *arguments)
    assert lines(moved) == lines(predict(*arguments))

"""What people get wrong: a message that names it, the right exit status, and never a traceback (see `call`)."""

import errno
import json
import os
import re
import shutil
import struct
import zlib

import pytest
from PIL import Image

from captioner.models.encoder import build_encoder


def huge_png(path):
    """The first bytes of a PNG of 30,000 x 30,000 pixels."""
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def truncated_jpeg(path):
    Image.effect_noise((200, 200), 80).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:2000])


BAD_PHOTOS = {
    "text.jpg": lambda path: path.write_text("not a photo at all"),
    "cut.jpg": truncated_jpeg,
    "huge.png": huge_png,
    "empty.png": lambda path: path.touch(),
}


@pytest.fixture
def bad_photos(tmp_path):
    for name, make in BAD_PHOTOS.items():
        make(tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("name", [*BAD_PHOTOS, "missing.jpg"])
def test_a_photo_that_cannot_be_used_is_named(predict, bad_photos, name):
    outcome = predict(bad_photos / name)
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.startswith(f"captioner: {bad_photos / name}: ")


def test_the_good_ones_are_done_all_the_same(predict, bad_photos, photos):
    good = [bad_photos / "a good one.png", bad_photos / "the other.png"]
    for path in good:
        shutil.copy(photos / "red_circle.png", path)
    outcome = predict(bad_photos, bad_photos / "missing.jpg", "--format", "json")
    assert outcome.status == 1
    assert [json.loads(line)["image"] for line in outcome.out.splitlines()] == [str(path) for path in good]
    told = [line for line in outcome.err.splitlines() if line.startswith("captioner: ")]
    assert len(told) == 5
    for name in (*BAD_PHOTOS, "missing.jpg"):
        assert sum(f"{bad_photos / name}: " in line for line in told) == 1


def test_an_empty_folder_and_a_pattern_without_photos(predict, tmp_path):
    for path in (tmp_path, tmp_path / "*.jpg"):
        outcome = predict(path)
        assert (outcome.status, outcome.out) == (1, "")
        assert f"{path}: no photos" in outcome.err
        assert "nothing to caption" in outcome.err


def test_a_missing_model_is_named(command, photos, encoder_weights, data, tmp_path):
    missing = tmp_path / "nowhere"
    commands = (
        ["predict", photos / "red_circle.png"],
        ["evaluate", "--data", data, "--split", "dev"],
        ["train", "--data", data, "--output", tmp_path / "new"],
    )
    for name, *arguments in commands:
        option = "--init-from" if name == "train" else "--model"
        outcome = command(name, option, missing, "--encoder-weights", encoder_weights, *arguments)
        assert (outcome.status, outcome.out) == (1, "")
        assert f"{missing} is no model directory (config.json is missing)" in outcome.err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text: text[:50], "config.json is not valid JSON"),
        (lambda text: text.replace('"format_version": 2', '"format_version": 99'), "format version 99"),
        (lambda text: text.replace('"hidden_size": 16', '"hidden_size": 99999'), "hidden_size: expected a value from"),
        (lambda text: text.replace('"hidden_size": 16', '"hidden_size": 17'), "but config.json expects (288, 17)"),
        (lambda text: text.replace('"rnn"', '"transformer"'), "cell: expected one of rnn, gru, lstm"),
        (lambda text: text.replace('"mixed2"', '"mixed5"'), "config.json was changed by hand"),
        (lambda text: text.replace('"InceptionV3"', '"os.system"'), "os.system"),
        (lambda text: "[]", "config.json"),
    ],
    ids=["cut", "newer", "too large", "other size", "other cell", "other layer", "other network", "list"],
)
def test_a_broken_configuration_is_named(command, model, photos, data, encoder_weights, tmp_path, change, complaint):
    broken = tmp_path / "model"
    shutil.copytree(model, broken)
    text = (broken / "config.json").read_text()
    assert change(text) != text
    (broken / "config.json").write_text(re.sub(r',\s*"digest": "\w+"', "", change(text)))
    commands = (["predict", photos / "red_circle.png"], ["evaluate", "--data", data, "--split", "dev"])
    for name, *arguments in commands:
        outcome = command(name, "--model", broken, "--encoder-weights", encoder_weights, *arguments)
        assert (outcome.status, outcome.out) == (1, "")
        assert complaint in outcome.err


@pytest.mark.parametrize("name", ["vocabulary.json", "decoder.npz"])
@pytest.mark.parametrize("damage", ["cut", "missing"])
def test_a_damaged_model_is_named(command, model, photos, encoder_weights, tmp_path, name, damage):
    broken = tmp_path / "model"
    shutil.copytree(model, broken)
    content = (broken / name).read_bytes()
    (broken / name).unlink()
    if damage == "cut":
        (broken / name).write_bytes(content[: len(content) // 2])
    outcome = command(*("predict", "--model", broken, "--encoder-weights", encoder_weights, photos / "red_circle.png"))
    assert (outcome.status, outcome.out) == (1, "")
    assert name in outcome.err


def test_a_missing_data_folder_is_named(command, tmp_path, monkeypatch):
    missing = tmp_path / "nowhere"
    outcome = command("train", "--data", missing)
    assert (outcome.status, outcome.out) == (1, "")
    assert f"--data names '{missing}', which is not a folder" in outcome.err
    monkeypatch.setenv("CAPTIONER_DATA", str(missing))
    outcome = command("train")
    assert (outcome.status, outcome.out) == (1, "")
    assert f"CAPTIONER_DATA names '{missing}'" in outcome.err


def test_a_table_without_captions_is_named(command, tmp_path):
    (tmp_path / "captions.csv").write_text("image,words\na.jpg,a dog\n")
    outcome = command("train", "--data", tmp_path)
    assert (outcome.status, outcome.out) == (1, "")
    assert "captions.csv are image, words; wanted are image, caption" in outcome.err


def test_photos_that_cannot_be_read_leave_nothing_to_train_on(command, encoder_weights, tmp_path):
    rows = [f"{number}.jpg,a dog,{'dev' if number > 2 else 'train'}" for number in range(5)]
    (tmp_path / "captions.csv").write_text("\n".join(["image,caption,split", *rows]))
    for number in range(5):
        (tmp_path / f"{number}.jpg").write_text("not a photo")
    outcome = command(
        *("train", "--data", tmp_path, "--encoder-weights", encoder_weights, "--output", tmp_path / "new")
    )
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.count("left out: ") == 3
    assert "no photo of the train split can be used" in outcome.err


@pytest.fixture
def real_encoder(monkeypatch):
    """Build encoders as they are outside of these tests."""
    from captioner.models import networks
    from captioner.training import captioning

    monkeypatch.setattr(networks, "build_encoder", build_encoder)
    monkeypatch.setattr(captioning, "build_encoder", build_encoder)


@pytest.mark.usefixtures("real_encoder")
def test_wrong_encoder_weights_are_named(command, model, photos, data, tmp_path):
    predict = ["predict", "--model", model, photos / "red_circle.png", "--encoder-weights"]
    outcome = command(*predict, model / "decoder.npz")
    assert (outcome.status, outcome.out) == (1, "")
    assert "decoder.npz does not hold the weights of InceptionV3 without top" in outcome.err
    (tmp_path / "text.h5").write_text("no weights")
    outcome = command("train", "--data", data, "--output", tmp_path / "new", "--encoder-weights", tmp_path / "text.h5")
    assert (outcome.status, outcome.out) == (1, "")
    assert "text.h5 does not hold the weights of InceptionV3 without top" in outcome.err
    outcome = command(*predict, tmp_path / "missing.h5")
    assert (outcome.status, outcome.out) == (1, "")
    assert "missing.h5 is not a file; expected InceptionV3's weights" in outcome.err


def test_an_unknown_layer_is_named(command, data, encoder_weights, tmp_path):
    outcome = command(
        *("train", "--data", data, "--encoder-weights", encoder_weights, "--output", tmp_path / "new"),
        *("--feature-layer", "mixed99"),
    )
    assert (outcome.status, outcome.out) == (1, "")
    assert "--feature-layer: InceptionV3 has no layer 'mixed99'" in outcome.err
    assert "mixed8" in outcome.err


def full(*arguments):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.needs("os.posix_fallocate")
def test_a_full_disk_under_the_cache_is_told_before_the_work(command, train_arguments, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "posix_fallocate", full)
    outcome = command(*train_arguments, "--output", tmp_path / "new")
    assert (outcome.status, outcome.out) == (1, "")
    assert "the disk is full" in outcome.err
    assert str(tmp_path / "cache") in outcome.err
    assert "XDG_CACHE_HOME" in outcome.err


def test_a_full_disk_under_the_results_is_told(predict, photos, tmp_path, monkeypatch):
    monkeypatch.setattr("captioner.system.atomic.os.fsync", full)
    output = tmp_path / "captions.txt"
    outcome = predict(photos / "red_circle.png", "--output", output)
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err == f"captioner: {output}: the disk is full; make room and run the same command again\n"
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_cannot_be_written_is_told_before_the_work(
    predict, evaluate, command, photos, train_arguments, tmp_path, monkeypatch
):
    from captioner.models import networks
    from captioner.training import captioning

    def too_late(*arguments):
        raise AssertionError("the work has begun")

    monkeypatch.setattr(captioning, "build_encoder", too_late)
    monkeypatch.setattr(networks, "build_encoder", too_late)
    (tmp_path / "file").write_text("in the way")
    for outcome in (
        predict(photos / "red_circle.png", "--output", tmp_path / "file" / "captions.txt"),
        command(*train_arguments, "--output", tmp_path / "file"),
        command(*train_arguments, "--output", tmp_path / "file" / "model"),
    ):
        assert (outcome.status, outcome.out) == (1, "")
        assert str(tmp_path / "file") in outcome.err.splitlines()[-1]
    assert (tmp_path / "file").read_text() == "in the way"


def test_scores_that_cannot_be_written_are_an_error(evaluate, tmp_path):
    (tmp_path / "file").write_text("in the way")
    outcome = evaluate("--split", "dev", "--json", tmp_path / "file" / "dev.json")
    assert outcome.status == 1
    assert str(tmp_path / "file") in outcome.err.splitlines()[-1]


def test_a_picture_that_fits_no_format_is_wrong_usage(predict, photos, tmp_path):
    outcome = predict(photos / "red_circle.png", "--attention", tmp_path / "looked.txt")
    assert (outcome.status, outcome.out) == (2, "")
    assert "--attention" in outcome.err


@pytest.mark.parametrize(
    "argv",
    [
        ["predict"],
        ["predict", "a.jpg", "--beam-width", "0"],
        ["predict", "a.jpg", "--format", "xml"],
        ["evaluate", "--split", "train", "--model", "m"],
        ["train", "--cell", "transformer"],
        ["paint"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2(command, argv):
    outcome = command(*argv)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith("captioner: ")
    assert outcome.err.endswith(" --help.\n") or outcome.err.startswith("captioner: name a photo")


def test_an_evaluation_replaces_no_data(evaluate, photos, tmp_path):
    photo = next(iter(sorted(photos.iterdir())))
    captions = tmp_path / "captions.csv"
    captions.write_text("image,caption\n")
    before = photo.read_bytes()
    coco = tmp_path / "captions.json"
    coco.write_text('{\n  "images": [],\n  "annotations": []\n}\n')
    for option, path in (("--gallery", photo), ("--predictions", captions), ("--json", captions), ("--json", coco)):
        outcome = evaluate("--split", "dev", option, path)
        assert outcome.status == 2
        assert f"{option} {path}: " in outcome.err
    outcome = evaluate("--split", "dev", "--json", tmp_path / "new", "--predictions", tmp_path / "new")
    assert outcome.status == 2
    assert "--json would be written there too; name two files" in outcome.err
    assert (photo.read_bytes(), captions.read_text()) == (before, "image,caption\n")
    for _ in range(2):  # its own files are replaced
        outcome = evaluate("--split", "dev", "--json", tmp_path / "j", "--predictions", tmp_path / "p")
        assert outcome.status == 0, outcome.err

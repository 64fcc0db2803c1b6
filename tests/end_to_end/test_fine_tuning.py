"""Trainings whose encoder learns too, and what is done with their models."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from captioner.bulk.model import describe, find_encoder, pack
from captioner.model_files.directory import CaptionerDirectory
from captioner.models import encoder as encoder_module
from captioner.models.encoder import build_encoder, last_layers
from captioner.models.networks import load_networks
from tests.end_to_end.test_train import FILES, epochs_in

pytestmark = pytest.mark.long


def test_fine_tuning_the_encoder_leaves_its_last_layers_in_the_directory(fine_tuned):
    directory, outcome = fine_tuned
    assert outcome.status == 0
    assert {path.name for path in directory.iterdir()} == FILES | {"encoder.npz"}
    assert outcome.err.count("fine-tuning the encoder behind mixed1") == 1
    metrics = json.loads((directory / "metrics.json").read_text())
    assert metrics["epochs"] == 4
    with (directory / "history.csv").open() as file:
        history = list(csv.DictReader(file))
    assert [row["epoch"] for row in history] == ["1", "2", "3", "4"]
    assert [bool(row["reward"]) for row in history] == [False, False, False, True]
    assert "behind `mixed1`" in (directory / "README.md").read_text()


def test_without_epochs_before_fine_tuning_the_whole_encoder_reads_no_photo(
    fine_tune_arguments, command, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    outcome = command(
        *fine_tune_arguments,
        *("--epochs", 0, "--fine-tune-epochs", 1, "--fine-tune-views", 1, "--output", tmp_path / "tuned"),
    )
    assert outcome.status == 0
    assert json.loads((tmp_path / "tuned" / "metrics.json").read_text())["epochs"] == 1
    assert (tmp_path / "tuned" / "encoder.npz").exists()
    about = [json.loads(path.read_text()) for path in tmp_path.glob("cache/captioner/features/*/about.json")]
    assert [each["feature_layer"] for each in about] == ["mixed1", "mixed1"]  # of train and dev


def test_a_pupil_learns_from_trained_models(fine_tuned, fine_tune_arguments, command, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    teacher, pupil = fine_tuned[0], tmp_path / "pupil"
    arguments = (*fine_tune_arguments, *("--epochs", 0, "--fine-tune-epochs", 1, "--fine-tune-views", 2, "--teacher"))
    outcome = command(*arguments, teacher, teacher, "--output", pupil)
    assert outcome.status == 0, outcome.err
    metrics = json.loads((pupil / "metrics.json").read_text())
    assert metrics["settings"]["teachers"] == [str(teacher)] * 2
    assert "- **Teachers**: `tuned`, `tuned`; " in (pupil / "README.md").read_text()
    assert len(list(tmp_path.glob("cache/captioner/taught/*/features.npy"))) == 1
    outcome = command(*arguments, tmp_path / "nowhere", "--output", tmp_path / "none")
    assert outcome.status == 1
    assert "nowhere is no model directory" in outcome.err


def test_a_teacher_that_cannot_teach_is_refused_before_the_work(fine_tuned, fine_tune_arguments, command, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(fine_tuned[0], damaged)
    (damaged / "decoder.npz").write_bytes(b"no weights")
    outcome = command(
        *fine_tune_arguments,
        *("--epochs", 1, "--fine-tune-epochs", 1, "--teacher", damaged, "--output", tmp_path / "pupil"),
    )
    assert outcome.status == 1
    assert "decoder.npz" in outcome.err
    assert epochs_in(outcome.err) == []


def test_a_fine_tuned_model_captions_alike_from_its_files_alone(fine_tuned, encoder_weights, photos, data, command):
    directory, _ = fine_tuned
    config = CaptionerDirectory.read(directory).config.encoder
    encoder = encoder_module.build_encoder(config, encoder_weights)  # the one that all tests of this process share
    for weight in last_layers(encoder, "mixed1").weights:
        weight.assign(np.zeros(weight.shape))
    given = ("--model", directory, "--encoder-weights", encoder_weights)
    in_litert = command("predict", *given, photos)
    for weight in last_layers(encoder, "mixed1").weights:
        weight.assign(np.zeros(weight.shape))
    in_keras = command("predict", *given, "--backend", "keras", photos)
    assert in_litert.status == 0
    assert in_litert.out == in_keras.out
    evaluated = command("evaluate", *given, "--data", data, "--split", "dev")
    metrics = json.loads((directory / "metrics.json").read_text())
    assert float(evaluated.out.splitlines()[2].split()[0]) == pytest.approx(metrics["bleu1"], abs=0.005)


def test_workers_of_a_cluster_read_with_the_model_s_own_layers_or_without(fine_tuned, encoder_weights):
    directory, _ = fine_tuned
    config = CaptionerDirectory.read(directory).config.encoder
    image = np.random.default_rng(0).uniform(-1, 1, (75, 75, 3)).astype(np.float32)
    _, tuned = load_networks(directory, str(encoder_weights))
    published = build_encoder(replace(config, fine_tune_after=""), str(encoder_weights))
    expected = [network(image[None]).numpy()[0] for network in (tuned, published)]
    packed = [pack(*find_encoder(directory, str(encoder_weights), "float32", each)) for each in (False, True)]
    for features, model in zip(expected, packed, strict=True):
        np.testing.assert_allclose(model.unpack().encoder(image), features, rtol=1e-3, atol=1e-4)
    assert np.abs(expected[0] - expected[1]).max() > 0.01
    described = [describe(directory, each)["encoder"]["fine_tune_after"] for each in (False, True)]
    assert described == ["mixed1", ""]


def test_damaged_layers_are_refused(fine_tuned, encoder_weights, photos, command, tmp_path):
    directory = shutil.copytree(fine_tuned[0], tmp_path / "damaged")
    content = bytearray((directory / "encoder.npz").read_bytes())
    content[-100] ^= 1
    (directory / "encoder.npz").write_bytes(content)
    outcome = command("predict", "--model", directory, "--encoder-weights", encoder_weights, photos / "red_circle.png")
    assert outcome.status == 1
    assert f"{directory / 'encoder.npz'} is damaged, or not the file" in outcome.err


def test_a_training_that_starts_from_a_fine_tuned_model_keeps_its_layers(
    fine_tuned, other_data, encoder_weights, command, tmp_path
):
    outcome = command(
        *("train", "--data", other_data, "--encoder-weights", encoder_weights, "--init-from", fine_tuned[0]),
        *("--epochs", 1, "--batch-size", 2, "--output", tmp_path / "mine"),
    )
    assert outcome.status == 0
    ours, theirs = ((place / "encoder.npz") for place in (tmp_path / "mine", fine_tuned[0]))
    assert ours.read_bytes() == theirs.read_bytes()
    with np.load(ours) as file:
        assert len(file) == 28  # seven convolutions: kernel, shift, mean, variance

import csv
import json
import re
import shutil
from dataclasses import replace

import h5py
import numpy as np
import pandas as pd
import pytest

from captioner.bulk.model import describe, pack
from captioner.config import digest
from captioner.data.model_files import read_config
from captioner.files import write_json
from captioner.models import encoder as encoder_module
from captioner.models.directory import load_model
from captioner.models.encoder import build_encoder, last_layers
from captioner.models.networks import load_networks
from captioner.training import run as run_module
from captioner.training.checkpoint import Progress

FILES = {
    *("config.json", "vocabulary.json", "decoder.weights.h5", "metrics.json"),
    *("history.csv", "training.png", "README.md"),
}


def epochs_in(text):
    return re.findall(r"epoch (\d+/\d+) \d+ s: loss", text)  # the progress bar says the first half too


def test_a_training_leaves_a_model_directory(trained):
    directory, outcome = trained
    assert outcome.status == 0
    assert {path.name for path in directory.iterdir()} == FILES
    metrics = json.loads((directory / "metrics.json").read_text())
    assert (metrics["images"], metrics["split"], metrics["epochs"]) == (4, "dev", 2)
    with (directory / "history.csv").open() as file:
        history = list(csv.DictReader(file))
    assert [row["epoch"] for row in history] == ["1", "2"]
    assert float(history[1]["loss"]) < float(history[0]["loss"])
    assert (directory / "training.png").read_bytes().startswith(b"\x89PNG")
    assert "vanilla tanh RNN of 16 units" in (directory / "README.md").read_text()

    config = json.loads((directory / "config.json").read_text())["model"]
    assert config["decoder"]["cell"] == "rnn"
    assert (config["decoder"]["locations"], config["decoder"]["channels"]) == (64, 1280)
    assert config["decoding"]["beam_width"] == metrics["beam_width"]
    assert config["decoding"]["length_penalty"] == metrics["length_penalty"]
    tokens = json.loads((directory / "vocabulary.json").read_text())["tokens"]
    assert tokens[:4] == ["<pad>", "<start>", "<end>", "<unk>"]
    assert {"red", "circle", "one"} < set(tokens)
    assert not {"hole", ".", ","} & set(tokens)


def test_only_scores_go_to_stdout(trained):
    _, outcome = trained
    metrics = json.loads((trained[0] / "metrics.json").read_text())
    heading, names, values = outcome.out.splitlines()
    assert heading.startswith("4 dev photos, beam width ")
    assert names.split()[0] == "BLEU-1"
    assert float(values.split()[0]) == pytest.approx(metrics["bleu1"], abs=0.005)
    assert epochs_in(outcome.err) == ["1/2", "2/2"]


def test_holes_in_the_data_set_are_reported_and_no_error(trained):
    _, outcome = trained
    line = next(line for line in outcome.err.splitlines() if "holes:" in line)
    assert "10 train, 4 dev, 2 test" in line
    assert "missing.png" in line
    assert "lost.png" in line
    assert outcome.status == 0


def test_a_finished_run_says_so(trained, train_arguments, command):
    directory, first = trained
    before = (directory / "decoder.weights.h5").stat().st_mtime_ns
    again = command(*train_arguments, "--epochs", 2, "--output", directory)
    assert again.status == 0
    assert f"{directory} is finished; nothing to train" in again.err
    assert epochs_in(again.err) == []
    assert again.out == first.out
    assert (directory / "decoder.weights.h5").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("--hidden-size", "9", "hidden_size was 16, now 9"),
        ("--cell", "gru", "cell was 'rnn', now 'gru'"),
        ("--epochs", "3", "epochs was 2, now 3"),
    ],
)
def test_a_finished_run_refuses_other_settings(trained, train_arguments, command, option, value, named):
    directory, _ = trained
    outcome = command(*train_arguments, "--epochs", 2, "--output", directory, option, value)
    assert outcome.status == 2
    assert named in outcome.err
    assert outcome.err.count(", now ") == 1
    assert "--no-resume" in outcome.err
    assert outcome.out == ""


@pytest.mark.parametrize("content", ["[]", "{}", '{"settings": []}', "{"])
def test_metrics_that_are_damaged_are_named(trained, train_arguments, command, tmp_path, content):
    (tmp_path / "metrics.json").write_text(content)
    outcome = command(*train_arguments, "--epochs", 2, "--output", tmp_path)
    assert (outcome.status, outcome.out) == (1, "")
    assert "metrics.json" in outcome.err


def test_a_finished_run_can_be_started_over_with_other_settings(trained, train_arguments, command, tmp_path):
    directory = tmp_path / "again"
    shutil.copytree(trained[0], directory)
    outcome = command(
        *train_arguments,
        *("--output", directory, "--no-resume", "--epochs", 1, "--limit", 3, "--cell", "gru", "--dropout", 0.4),
    )
    assert outcome.status == 0
    assert epochs_in(outcome.err) == ["1/1"]
    assert "3 photos and 9 captions to train on, 3 photos to score on" in outcome.err
    assert {path.name for path in directory.iterdir()} == FILES
    saved = load_model(directory)
    assert saved.config.decoder.cell == "gru"
    assert saved.network.decoder.cell.gates == 3


def test_fine_tuning_keeps_the_words_and_adds_new_ones(model, other_data, encoder_weights, command, tmp_path):
    outcome = command(
        *("train", "--data", other_data, "--encoder-weights", encoder_weights, "--init-from", model),
        *("--epochs", 1, "--batch-size", 2, "--output", tmp_path),
    )
    assert outcome.status == 0
    base, tuned = load_model(model), load_model(tmp_path)
    known = len(base.vocabulary)
    assert tuned.vocabulary.tokens[:known] == base.vocabulary.tokens
    assert set(tuned.vocabulary.tokens[known:]) == {"purple", "orange", "painted"}
    assert tuned.config.decoder.hidden_size == 16
    assert json.loads((tmp_path / "metrics.json").read_text())["settings"]["learning_rate"] == 2e-4
    assert f"trained on {other_data.name}" in (tmp_path / "README.md").read_text()
    # two steps at a small rate: the weights are still close to those that it started from
    kernel = tuned.network.decoder.cell.recurrent_kernel.numpy()
    np.testing.assert_allclose(kernel, base.network.decoder.cell.recurrent_kernel.numpy(), atol=2e-3)


def test_going_on_with_the_same_photos_tells_of_the_epochs_before_too(model, train_arguments, command, tmp_path):
    outcome = command(*train_arguments, "--init-from", model, "--epochs", 1, "--output", tmp_path)
    assert outcome.status == 0, outcome.err
    assert epochs_in(outcome.err) == ["1/1"]
    before, after = (pd.read_csv(directory / "history.csv") for directory in (model, tmp_path))
    assert list(after["epoch"]) == [*before["epoch"], len(before) + 1]
    assert list(after["dev_loss"][:-1]) == list(before["dev_loss"])
    assert f"the first {len(before)} those of `{model.name}`" in (tmp_path / "README.md").read_text()
    assert json.loads((tmp_path / "metrics.json").read_text())["epochs"] == 1


def test_fine_tuning_refuses_other_sizes(model, other_data, command):
    outcome = command("train", "--data", other_data, "--init-from", model, "--hidden-size", 8)
    assert outcome.status == 2
    assert f"--hidden-size 8: --init-from {model} has 16" in outcome.err


def test_an_lstm_on_an_earlier_layer_in_the_default_place(other_data, encoder_weights, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAPTIONER_DATA", str(other_data))
    monkeypatch.setenv("CAPTIONER_ENCODER_WEIGHTS", str(encoder_weights))
    outcome = command(
        *(
            "train",
            "--cell",
            "lstm",
            "--feature-layer",
            "mixed0",
            "--hidden-size",
            4,
            "--embedding-dim",
            4,
            "--attention-dim",
            4,
        ),
        *("--epochs", 1, "--batch-size", 2, "--min-count", 1, "--max-length", 5, "--dropout", 0),
    )
    assert outcome.status == 0
    decoder = load_model("saved_models/my_photos-lstm").config.decoder
    assert (decoder.cell, decoder.locations, decoder.channels, decoder.dropout) == ("lstm", 35 * 35, 256, 0.0)


def test_features_are_read_once(trained, train_arguments, command, tmp_path, monkeypatch):
    from captioner.training import features

    def open_photo(path):
        raise AssertionError(f"{path} is in the cache")

    monkeypatch.setattr(features, "open_photo", open_photo)
    arguments = [*train_arguments, "--epochs", 1, "--min-count", 1000, "--output", tmp_path]
    outcome = command(*arguments)  # features come before the vocabulary
    assert outcome.status == 1
    assert "no word stands 1000 times in the 30 training captions" in outcome.err


def test_fine_tuning_the_encoder_leaves_its_last_layers_in_the_directory(fine_tuned):
    directory, outcome = fine_tuned
    assert outcome.status == 0
    assert {path.name for path in directory.iterdir()} == FILES | {"encoder.weights.h5"}
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
    assert (tmp_path / "tuned" / "encoder.weights.h5").exists()
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
    (damaged / "decoder.weights.h5").write_bytes(b"no weights")
    outcome = command(
        *fine_tune_arguments,
        *("--epochs", 1, "--fine-tune-epochs", 1, "--teacher", damaged, "--output", tmp_path / "pupil"),
    )
    assert outcome.status == 1
    assert "decoder.weights.h5" in outcome.err
    assert epochs_in(outcome.err) == []


def test_a_stopped_fine_tuning_refuses_other_settings_before_the_work(
    fine_tune_arguments, command, tmp_path, monkeypatch
):
    monkeypatch.setattr(run_module, "read_split", lambda *arguments, **more: pytest.fail("photos were read"))
    settings = {"fine_tune_views": 8, "batch_size": 2}
    state = {"settings": settings, "progress": vars(Progress(1, 1, 9.0, [])), "checksums": {}}
    write_json(tmp_path / "checkpoint" / "fine_tuning" / "progress.json", state | {"digest": digest(state)})
    outcome = command(
        *fine_tune_arguments,
        *("--epochs", 0, "--fine-tune-epochs", 1, "--fine-tune-views", 4, "--output", tmp_path),
    )
    assert outcome.status == 2
    assert f"{tmp_path} holds a run with other settings: " in outcome.err
    assert "fine_tune_views was 8, now 4" in outcome.err


def test_without_any_epoch_a_model_is_searched_anew_and_kept_as_it_is(model, train_arguments, command, tmp_path):
    settings = [each for each in train_arguments if each not in ("--learning-rate", "0.06")]
    arguments = (*settings, "--init-from", model, "--epochs", 0, "--logit-adjustment", 0.05, "--output", tmp_path)
    outcome = command(*arguments)
    assert outcome.status == 0, outcome.err
    assert {path.name for path in tmp_path.iterdir()} == FILES - {"history.csv", "training.png"}
    assert "no epoch on captions. Its first weights were those of `shapes`." in (tmp_path / "README.md").read_text()
    for ours, theirs in zip(load_model(tmp_path).network.weights, load_model(model).network.weights, strict=True):
        if ours.path.endswith("output_projection/bias"):
            assert not np.array_equal(ours, theirs)
        else:
            np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)
    again = command(*arguments)
    assert (again.status, again.out) == (0, outcome.out)
    assert "is finished; nothing to train" in again.err


def test_a_fine_tuned_model_captions_alike_from_its_files_alone(fine_tuned, encoder_weights, photos, data, command):
    directory, _ = fine_tuned
    config = read_config(directory).encoder
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
    config = read_config(directory).encoder
    image = np.random.default_rng(0).uniform(-1, 1, (75, 75, 3)).astype(np.float32)
    _, tuned = load_networks(directory, str(encoder_weights))
    published = build_encoder(replace(config, fine_tune_after=""), str(encoder_weights))
    expected = [network(image[None]).numpy()[0] for network in (tuned, published)]
    packed = [pack(directory, str(encoder_weights), published=each) for each in (False, True)]
    assert [each.is_onnx for each in packed] == [True, True]
    for features, model in zip(expected, packed, strict=True):
        np.testing.assert_allclose(model.unpack().encoder(image), features, rtol=1e-3, atol=1e-4)
    assert np.abs(expected[0] - expected[1]).max() > 0.01
    described = [describe(directory, each)["encoder"]["fine_tune_after"] for each in (False, True)]
    assert described == ["mixed1", ""]


def test_damaged_layers_are_refused(fine_tuned, encoder_weights, photos, command, tmp_path):
    directory = shutil.copytree(fine_tuned[0], tmp_path / "damaged")
    content = bytearray((directory / "encoder.weights.h5").read_bytes())
    content[-100] ^= 1
    (directory / "encoder.weights.h5").write_bytes(content)
    outcome = command("predict", "--model", directory, "--encoder-weights", encoder_weights, photos / "red_circle.png")
    assert outcome.status == 1
    assert f"{directory / 'encoder.weights.h5'} are not those that config.json was written with" in outcome.err


def test_a_training_that_starts_from_a_fine_tuned_model_keeps_its_layers(
    fine_tuned, other_data, encoder_weights, command, tmp_path
):
    outcome = command(
        *("train", "--data", other_data, "--encoder-weights", encoder_weights, "--init-from", fine_tuned[0]),
        *("--epochs", 1, "--batch-size", 2, "--output", tmp_path / "mine"),
    )
    assert outcome.status == 0
    ours, theirs = ((place / "encoder.weights.h5") for place in (tmp_path / "mine", fine_tuned[0]))
    with h5py.File(ours) as one, h5py.File(theirs) as other:
        names = []
        one.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        assert len(names) == 28  # seven convolutions: kernel, shift, mean, variance
        for name in names:
            np.testing.assert_array_equal(one[name][()], other[name][()], err_msg=name)

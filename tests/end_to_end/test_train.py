import csv
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from captioner.config.serialization import digest
from captioner.models.directory import load_model
from captioner.system.files import write_json
from captioner.training import captioning
from captioner.training.checkpoint import Progress

FILES = {
    *("config.json", "vocabulary.json", "decoder.npz", "metrics.json"),
    *("history.csv", "training.png", "README.md", "checkpoint"),
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
    assert (config["decoder"]["locations"], config["decoder"]["channels"]) == (49, 288)
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
    line = next(line for line in outcome.err.splitlines() if "issues:" in line)
    assert "10 train, 4 dev, 2 test" in line
    assert "missing.png" in line
    assert "lost.png" in line
    assert outcome.status == 0


def test_a_finished_run_says_so(trained, train_arguments, command):
    directory, first = trained
    before = (directory / "decoder.npz").stat().st_mtime_ns
    again = command(*train_arguments, "--epochs", 2, "--output", directory)
    assert again.status == 0
    assert f"{directory} is finished; nothing to train" in again.err
    assert epochs_in(again.err) == []
    assert again.out == first.out
    assert (directory / "decoder.npz").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("--hidden-size", "9", "hidden_size was 16, now 9"),
        ("--cell", "gru", "cell was 'rnn', now 'gru'"),
        ("--views", "3", "views was 1, now 3"),
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


def test_a_finished_run_goes_on_for_more_epochs(trained, train_arguments, command, predict, photos, tmp_path):
    directory = tmp_path / "more"
    shutil.copytree(trained[0], directory)
    outcome = command(*train_arguments, "--epochs", 3, "--output", directory)
    assert outcome.status == 0, outcome.err
    assert "epochs was 2, now 3: the learning rate follows the new schedule from here on" in outcome.err
    assert "resuming after epoch 2 of 3" in outcome.err
    assert epochs_in(outcome.err) == ["3/3"]
    metrics = json.loads((directory / "metrics.json").read_text())
    assert (metrics["epochs"], metrics["settings"]["epochs"]) == (3, 3)
    assert list(pd.read_csv(directory / "history.csv")["epoch"]) == [1, 2, 3]


def test_an_unfinished_training_leaves_the_best_model_so_far(
    train_arguments, encoder_weights, command, predict, photos, tmp_path, monkeypatch
):
    def stop(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(captioning, "tune_decoding", stop)
        outcome = command(*train_arguments, "--epochs", 1, "--output", tmp_path)
    assert outcome.status == 130, outcome.err
    assert {path.name for path in tmp_path.iterdir()} == FILES
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert (metrics["finished"], metrics["epochs"], metrics["best_epoch"]) == (False, 1, 1)
    assert "not finished" in (tmp_path / "README.md").read_text()
    photo = photos / "red_circle.png"
    said = predict(photo, "--model", tmp_path, "--encoder-weights", encoder_weights)
    assert (said.status, bool(said.out.strip())) == (0, True)

    assert command(*train_arguments, "--epochs", 1, "--output", tmp_path).status == 0
    assert "finished" not in json.loads((tmp_path / "metrics.json").read_text())
    assert "vanilla tanh RNN of 16 units" in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize("content", ["[]", "{}", '{"settings": []}', "{"])
def test_metrics_that_are_damaged_are_named(trained, train_arguments, command, tmp_path, content):
    (tmp_path / "metrics.json").write_text(content)
    outcome = command(*train_arguments, "--epochs", 2, "--output", tmp_path)
    assert (outcome.status, outcome.out) == (1, "")
    assert "metrics.json" in outcome.err


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
def test_an_lstm_on_the_default_layer_in_the_default_place(other_data, encoder_weights, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAPTIONER_DATA", str(other_data))
    monkeypatch.setenv("CAPTIONER_ENCODER_WEIGHTS", str(encoder_weights))
    outcome = command(
        *("train", "--cell", "lstm", "--hidden-size", 4, "--embedding-dim", 4, "--attention-dim", 4),
        *("--epochs", 1, "--batch-size", 2, "--min-count", 1, "--max-length", 5, "--dropout", 0),
    )
    assert outcome.status == 0
    decoder = load_model("saved_models/my_photos-lstm").config.decoder
    assert (decoder.cell, decoder.locations, decoder.channels, decoder.dropout) == ("lstm", 64, 1280, 0.0)


def test_features_are_read_once(trained, train_arguments, command, tmp_path, monkeypatch):
    from captioner.training.inputs import row_cache

    def open_photo(path, **settings):
        raise AssertionError(f"{path} is in the cache")

    monkeypatch.setattr(row_cache, "open_photo", open_photo)
    arguments = [*train_arguments, "--epochs", 1, "--min-count", 1000, "--output", tmp_path]
    outcome = command(*arguments)  # features come before the vocabulary
    assert outcome.status == 1
    assert "no word stands 1000 times in the 30 training captions" in outcome.err


def test_a_stopped_fine_tuning_refuses_other_settings_before_the_work(
    fine_tune_arguments, command, tmp_path, monkeypatch
):
    monkeypatch.setattr(captioning, "read_split", lambda *arguments, **more: pytest.fail("photos were read"))
    settings = {"fine_tune_views": 8, "batch_size": 2}
    state = {"settings": settings, "progress": vars(Progress(1, 1)), "checksums": {}}
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

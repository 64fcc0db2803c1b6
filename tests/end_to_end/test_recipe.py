"""A recipe of two runs, a teacher and its pupil: killed between them, gone on with, and equal to the two commands."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from captioner.models import encoder as encoder_module
from captioner.training import start

ROOT = Path(__file__).parents[2]

RECIPE = """
feature_layer = "mixed2"
image_size = 75
hidden_size = 16
embedding_dim = 8
attention_dim = 8
min_count = 1
max_length = 6
batch_size = 2
dropout = 0
ema_momentum = 0
warmup_steps = 2
epochs = 1
seed = 1

[[run]]
output = "{folder}/teacher"
learning_rate = 0.06

[[run]]
output = "{folder}/pupil"
teachers = ["{folder}/teacher"]
distillation = 0.25
fine_tune_epochs = 1
fine_tune_after = "mixed1"
fine_tune_views = 1
"""
PUPIL = ("--distillation", 0.25, "--fine-tune-epochs", 1, "--fine-tune-views", 1)


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "chain.toml"
    path.write_text(RECIPE.format(folder=tmp_path))
    return path


@pytest.fixture
def arguments(recipe, data, encoder_weights):
    return ("train", recipe, "--data", data, "--encoder-weights", encoder_weights, "--limit", 6)


def weights_of(directory: Path) -> dict[str, np.ndarray]:
    found = {}
    for name in ("decoder.npz", "encoder.npz"):
        if (directory / name).exists():
            with np.load(directory / name) as file:
                found |= {f"{name}/{key}": values for key, values in file.items()}
    return found


@pytest.mark.skipif(os.name == "nt", reason="processes are killed otherwise on Windows")
@pytest.mark.long
def test_a_recipe_that_was_killed_between_its_runs_goes_on(recipe, arguments, command, tmp_path, fine_tune_arguments):
    with subprocess.Popen(
        [sys.executable, ROOT / "train.py", *map(str, arguments[1:])],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        told = []
        for line in process.stderr:
            told.append(line)
            if line.startswith("run 2 of 2: "):
                process.send_signal(signal.SIGKILL)
                break
    teacher, pupil = tmp_path / "teacher", tmp_path / "pupil"
    assert process.returncode == -signal.SIGKILL, "".join(told)
    assert (teacher / "metrics.json").exists()
    assert not (pupil / "metrics.json").exists()
    before = (teacher / "decoder.npz").stat().st_mtime_ns

    outcome = command(*arguments)
    assert outcome.status == 0, outcome.err
    assert f"run 1 of 2: {teacher}\n" in outcome.err
    assert f"{teacher} is finished; nothing to train" in outcome.err
    assert f"{pupil} is finished after " in outcome.err
    assert outcome.out.count("dev photos, beam width ") == 2
    assert (teacher / "decoder.npz").stat().st_mtime_ns == before
    settings = json.loads((pupil / "metrics.json").read_text())["settings"]
    assert settings["teachers"] == [str(teacher)]
    assert (settings["limit"], settings["distillation"], settings["ema_momentum"]) == (6, 0.25, 0.0)

    again = command(*arguments)
    assert (again.status, again.out) == (0, outcome.out)
    assert again.err.count("is finished; nothing to train") == 2

    encoder_module.build_encoder.cache_clear()  # fine-tuning has changed the one that all tests share
    outcome = command(*arguments, "--no-resume")  # both runs in one process
    assert outcome.status == 0, outcome.err
    encoder_module.build_encoder.cache_clear()
    alone = tmp_path / "alone"
    given = (*PUPIL, "--limit", 6, "--epochs", 1, "--teacher", teacher)
    outcome = command(*fine_tune_arguments, *given, "--output", alone)
    assert outcome.status == 0, outcome.err
    expected, found = weights_of(alone), weights_of(pupil)
    assert expected.keys() == found.keys()
    assert any(name.startswith("encoder.npz/") for name in found)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_a_finished_run_is_given_back_as_a_recipe(trained, data, encoder_weights, command):
    directory, first = trained
    given = ("--data", data, "--encoder-weights", encoder_weights, "--output", directory)
    again = command("train", directory / "metrics.json", *given)
    assert again.status == 0, again.err
    assert f"{directory} is finished; nothing to train" in again.err
    assert again.out == first.out
    other = command("train", directory / "metrics.json", *given, "--hidden-size", 9)
    assert other.status == 2
    assert "hidden_size was 16, now 9" in other.err


def test_a_wrong_second_run_is_refused_before_the_first(recipe, arguments, command, monkeypatch):
    monkeypatch.setattr(start, "load_training", lambda *arguments: pytest.fail("it began to train"))
    recipe.write_text(recipe.read_text().replace("fine_tune_views", "fine_tune_view"))
    outcome = command(*arguments)
    assert (outcome.status, outcome.out) == (1, "")
    assert f"{recipe}: run 2: 'fine_tune_view' is no setting of --task caption; did you mean fine_tune_views?" in (
        outcome.err
    )

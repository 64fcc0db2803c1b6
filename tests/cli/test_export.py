import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from captioner.cli.main import main
from captioner.config import CharModelConfig, ModelConfig, save_config
from captioner.runtime.char_directory import save_char_model
from captioner.runtime.char_network import weight_shapes
from captioner.text import CharacterVocabulary

ROOT = Path(__file__).parents[2]
TEXT = "ab cd\n나라 e"


@pytest.fixture
def directory(tmp_path):
    """A character model with random weights."""
    vocabulary = CharacterVocabulary.build(TEXT)
    config = CharModelConfig("gru", 2, 6, 4, 0.1, True, len(vocabulary))
    rng = np.random.default_rng(1)
    weights = {name: rng.uniform(-1, 1, shape).astype(np.float32) for name, shape in weight_shapes(config).items()}
    save_char_model(tmp_path / "model", config, vocabulary, weights)
    return tmp_path / "model"


@pytest.fixture
def export(directory, capsys):
    def run(*arguments):
        status = main(["export", "--model", str(directory), *map(str, arguments)])
        return (status, *capsys.readouterr())

    return run


def test_a_character_model_is_exported_without_a_word_too_many(directory, tmp_path, capsys):
    hidden = ("PYTHONUNBUFFERED", "TF_CPP_MIN_LOG_LEVEL", "KERAS_BACKEND")  # set for tests, and not by users
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    command = ["-m", "captioner", "export", "--model", directory, "--format", "savedmodel", "--output", "out/char"]
    done = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr.startswith(f"out/char: a SavedModel of {directory}, 0.")
    assert done.stderr.endswith("MB, with the signatures continue_prompt, step and vocabulary\n")
    assert done.stderr.count("\n") == 1

    import tensorflow as tf

    loaded = tf.saved_model.load(str(tmp_path / "out" / "char"))
    (text,) = loaded.continue_prompt(["나라 a"], length=30, temperature=0.0)["text"].numpy()
    predicted = ["predict", "--model", str(directory), "--prompt", "나라 a", "--length", "30", "--temperature", "0"]
    assert main(predicted) == 0
    assert capsys.readouterr().out.rstrip("\n") == text.decode().rstrip("\n")


def test_a_captioning_model_cannot_be_exported_yet(tmp_path, capsys):
    save_config(tmp_path / "config.json", model=ModelConfig())
    assert main(["export", "--model", str(tmp_path), "--output", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == (
        f"captioner: --model {tmp_path}: is a captioning model; this version exports only character language models, "
        "such as saved_models/char-lm\n"
    )
    assert not (tmp_path / "out").exists()


def test_what_is_no_model_is_named(tmp_path, capsys):
    assert main(["export", "--model", str(tmp_path / "gone"), "--output", str(tmp_path / "out")]) == 1
    assert "gone is no model directory (config.json is missing)" in capsys.readouterr().err
    (tmp_path / "config.json").write_text("{}")
    assert main(["export", "--model", str(tmp_path), "--output", str(tmp_path / "out")]) == 1
    assert "config.json: format version None cannot be read" in capsys.readouterr().err


def test_a_place_that_is_taken_is_refused(export, directory):
    status, out, err = export("--output", directory)
    assert (status, out) == (1, "")
    assert f"--output {directory}: is a directory with other things in it" in err
    assert err.count("\n") == 1


def test_ctrl_c_leaves_nothing(export, tmp_path, monkeypatch):
    import tensorflow as tf

    def interrupted(*arguments, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(tf.saved_model, "save", interrupted)
    assert export("--output", tmp_path / "out") == (130, "", "captioner: stopped; nothing was exported\n")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("arguments", [[], ["--model", "m"], ["--model", "m", "--output", "o", "--format", "tar"]])
def test_wrong_usage(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["export", *arguments])
    assert caught.value.code == 2
    assert "usage: captioner export" in capsys.readouterr().err


def test_help_shows_how_to_use_the_export_and_needs_no_tensorflow():
    found = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "captioner", "export", "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert found.returncode == 0
    assert found.stdout.startswith("usage: captioner export ")
    assert "tf.saved_model.load(" in found.stdout
    assert "argparse" in found.stderr
    assert "tensorflow" not in found.stderr
    assert "keras" not in found.stderr

import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captioner.cli.main import main
from captioner.config.decoding import DecodingConfig
from captioner.config.model import CharModelConfig, DecoderConfig, EncoderConfig, ModelConfig
from captioner.model_files.directory import WEIGHTS, CaptionerDirectory, describe, write_model
from captioner.runtime.char_network import weight_shapes
from captioner.text import CharacterVocabulary, Vocabulary

ROOT = Path(__file__).parents[2]
TEXT = "ab cd\n나라 e"


@pytest.fixture
def directory(tmp_path):
    """A character model with random weights."""
    vocabulary = CharacterVocabulary.build(TEXT)
    config = CharModelConfig("gru", 2, 6, 4, 0.1, True, len(vocabulary))
    rng = np.random.default_rng(1)
    weights = {name: rng.uniform(-1, 1, shape).astype(np.float32) for name, shape in weight_shapes(config).items()}
    write_model(tmp_path / "model", config, vocabulary, {WEIGHTS: weights})
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
    assert done.stderr.startswith(
        f"out/char: a SavedModel of {directory}, with the signatures serving_default, continue_prompt, step and "
        "vocabulary, 0."
    )
    assert done.stderr.endswith(" MB\n")
    assert done.stderr.count("\n") == 1

    import tensorflow as tf

    loaded = tf.saved_model.load(str(tmp_path / "out" / "char"))
    (text,) = loaded.continue_prompt(["나라 a"], length=30, temperature=0.0)["text"].numpy()
    predicted = ["predict", "--model", str(directory), "--prompt", "나라 a", "--length", "30", "--temperature", "0"]
    assert main(predicted) == 0
    assert capsys.readouterr().out.rstrip("\n") == text.decode().rstrip("\n")


@pytest.fixture
def captioner(tmp_path, monkeypatch, inception):
    """A captioning model with random weights, and an encoder that is built at once."""
    import keras

    from captioner.models import networks
    from captioner.models.captioner import CaptionModel
    from captioner.models.directory import save_model

    image = keras.Input((75, 75, 3))
    encoder = keras.Model(image, keras.layers.Reshape((4, 6))(keras.layers.Conv2D(6, 37, strides=37)(image)))
    monkeypatch.setattr(networks, "build_encoder", lambda config, weights: encoder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    vocabulary = Vocabulary.build([["a", "dog", "runs", "the", "cat"]])
    config = ModelConfig(
        EncoderConfig(feature_layer="mixed2", image_size=75),
        DecoderConfig("rnn", 8, 5, 7, 0.0, len(vocabulary), locations=4, channels=6),
        DecodingConfig(beam_width=3, length_penalty=0.7, max_length=6),
    )
    network = CaptionModel(config.decoder)
    draw = np.random.default_rng(1)
    network.set_weights([draw.uniform(-2, 2, weight.shape) for weight in network.weights])
    save_model(tmp_path / "captioner", config, vocabulary, network)
    return tmp_path / "captioner"


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(3).integers(256, size=(75, 75, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_a_captioning_model_as_a_savedmodel(captioner, photo, tmp_path, capsys):
    assert main(["export", "--model", str(captioner), "--output", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    first, last = said.err.splitlines()
    assert first == f"captioner: tracing {captioner} and its encoder; this takes about 20 seconds"
    assert last.startswith(
        f"{tmp_path / 'out'}: a SavedModel of {captioner}, with the signatures serving_default, caption_files and "
        "caption_images, "
    )

    import tensorflow as tf

    loaded = tf.saved_model.load(str(tmp_path / "out"))
    ((caption,),) = loaded.caption_files([photo.read_bytes()])["captions"].numpy()
    assert main(["predict", "--model", str(captioner), str(photo)]) == 0
    assert capsys.readouterr().out == f"{caption.decode()}\n"


def test_a_captioning_model_as_a_bundle(captioner, photo, tmp_path, capsys, monkeypatch):
    ready = tmp_path / "ready"
    assert main(["export", "--model", str(captioner), "--format", "litert", "--output", str(ready)]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    first, last = said.err.splitlines()
    assert first.startswith(f"captioner: preparing {captioner} for fast starts")
    assert last.startswith(f"{ready}: {captioner} as a LiteRT bundle, for predict --model, 0.")
    assert main(["predict", "--model", str(captioner), str(photo)]) == 0
    expected = capsys.readouterr().out
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    assert main(["predict", "--model", str(ready), str(photo)]) == 0
    assert capsys.readouterr() == (expected, "")
    assert main(["export", "--model", str(captioner), "--format", "litert", "--output", str(ready)]) == 0  # once more


def test_a_damaged_captioning_model_is_named_at_once(captioner, tmp_path, capsys):
    (captioner / "decoder.npz").write_bytes(b"damaged")
    for form in ("savedmodel", "litert"):
        command = ["export", "--model", str(captioner), "--format", form, "--output", str(tmp_path / "out")]
        assert main(command) == 1
        assert "decoder.npz is damaged, or not the file" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_bundle_can_be_exported_unless_it_lacks_layers_that_were_tuned(captioner, tmp_path, capsys):
    ready = tmp_path / "ready"
    assert main(["export", "--model", str(captioner), "--format", "litert", "--output", str(ready)]) == 0
    assert main(["export", "--model", str(ready), "--format", "keras", "--output", str(tmp_path / "out.keras")]) == 0
    model = CaptionerDirectory.read(ready)
    tuned = replace(model.config, encoder=replace(model.config.encoder, fine_tune_after="mixed1"))
    describe(ready, tuned, list(model.manifest))
    capsys.readouterr()
    assert main(["export", "--model", str(ready), "--format", "keras", "--output", str(tmp_path / "out.keras")]) == 1
    assert "encoder.npz is not part of the model: this is an export for another use" in capsys.readouterr().err


def test_a_character_model_needs_no_bundle(export, tmp_path):
    status, _, err = export("--format", "litert", "--output", tmp_path / "out")
    assert status == 2
    assert "is a character language model, which predict reads as it is; expected savedmodel" in err


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
    assert capsys.readouterr().err.endswith("\nSee captioner export --help.\n")


@pytest.mark.parametrize("content", [b"", b"my notes", None])
def test_a_keras_file_that_is_no_export_stays(export, tmp_path, content):
    path = tmp_path / "mine.keras"
    if content is None:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("config.json", '{"class_name": "Sequential"}')
        content = path.read_bytes()
    path.write_bytes(content)
    status, out, err = export("--format", "keras", "--output", path)
    assert (status, out) == (1, "")
    assert f"{path}: the file there is no earlier export" in err
    assert path.read_bytes() == content


def test_help_shows_how_to_use_the_export_and_needs_no_tensorflow():
    found = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "captioner", "export", "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert found.returncode == 0
    assert found.stdout.startswith("usage: python -m captioner export ")
    assert "tf.saved_model.load(" in found.stdout
    assert "argparse" in found.stderr
    assert "tensorflow" not in found.stderr
    assert "keras" not in found.stderr

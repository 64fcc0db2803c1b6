import json

import pytest
from PIL import Image

from captioner.cli.main import main
from captioner.model_files.exports import MARKER, refuse_export

PHOTO = "photo.jpg"


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Exports by their names, as far as a command looks at them, and a photo."""
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save(PHOTO)
    for name, file, about in (
        ("saved", "saved_model.pb", {"format": "savedmodel", "model": "captioner"}),
        ("text", "saved_model.pb", {"format": "savedmodel", "model": "char_lm"}),
        ("moved", "saved_model.pb", None),
        ("onnx", "step.onnx", {"format": "onnx", "model": "captioner"}),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).touch()
        if about:
            (tmp_path / name / MARKER).write_text(json.dumps(about))
    (tmp_path / "model.keras").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("saved", [PHOTO], 'is a SavedModel, which TensorFlow and TensorFlow Serving read: tf.saved_model.load("'),
        ("moved", [PHOTO], '.serving_default([open("photo.jpg", "rb").read()]), see docs/deploy.md'),
        ("text", ["--prompt", "ROMEO:"], '.serving_default(["ROMEO:"]), see docs/deploy.md'),
        ("onnx", [PHOTO], "is an export in ONNX, which ONNX Runtime reads: docs/deploy.md has a script"),
        ("model.keras", [PHOTO], "is a Keras model, which Keras reads: import captioner.models, then"),
    ],
)
def test_predict_says_what_an_export_is_and_what_reads_it(made, capsys, name, arguments, said):
    assert main(["predict", "--model", str(made / name), *arguments]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{made / name} is " in err
    assert said in err
    assert "name the model directory that it was exported from" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "command", [["evaluate", "--split", "test"], ["serve", "--port", "0"], ["export", "--output", "new"]]
)
def test_other_commands_say_so_too(made, capsys, command):
    assert main([*command, "--model", "saved"]) == 1
    assert "saved is a SavedModel" in capsys.readouterr().err


def test_what_is_no_export_is_let_through(tmp_path):
    (tmp_path / MARKER).write_text("{}")  # such as a bundle for LiteRT, which is a model directory
    refuse_export(tmp_path)
    refuse_export(tmp_path / "gone")

"""Recognise exports for other programs, and explain that one is not a model directory."""

import json
from pathlib import Path

from captioner.errors import CaptionerError

MARKER = "export.json"
"""The file by which an export is known as ours, and may be replaced by the next one."""

_ADVICE = "for this command, name the model directory that it was exported from"


def refuse_export(path: Path) -> None:
    """Refuse an export for other programs, and name the program that reads it.

    Raises:
        CaptionerError: `path` is a SavedModel, an export in ONNX, or a Keras model.
    """
    if use := _use(path):
        raise CaptionerError(f"{path} is {use}; {_ADVICE}")


def _use(path: Path) -> str:
    """Return what an export is and what reads it; "" for anything else."""
    if (path / "saved_model.pb").is_file():
        example = '["ROMEO:"]' if _is_of_characters(path) else '[open("photo.jpg", "rb").read()]'
        call = f'tf.saved_model.load("{path}").serving_default({example})'
        return f"a SavedModel, which TensorFlow and TensorFlow Serving read: {call}, see docs/deploy.md"
    if (path / "step.onnx").is_file():
        return "an export in ONNX, which ONNX Runtime reads: docs/deploy.md has a script that captions with it"
    if path.suffix == ".keras" and path.is_file():
        call = f'import captioner.models, then keras.saving.load_model("{path}")'
        return f"a Keras model, which Keras reads: {call}, see docs/keras.md"
    return ""


def _is_of_characters(path: Path) -> bool:
    try:
        about = json.loads((path / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(about, dict) and about.get("model") == "char_lm"

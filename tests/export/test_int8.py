"""What `python -m captioner.export.int8 model` leaves of a model that it has read before."""

import shutil
from pathlib import Path

import pytest

from captioner.export import int8

SHIPPED = Path(__file__).parents[2] / "saved_models"


@pytest.mark.parametrize("name", ["flickr8k", "compact"])
def test_the_same_roundings_leave_the_directory_as_it_was(name, tmp_path, monkeypatch):
    model = tmp_path / name
    shutil.copytree(SHIPPED / name, model)
    before = {path.name: path.read_bytes() for path in model.iterdir()}
    monkeypatch.setattr(int8, "load_networks", lambda *_: (None, None))
    monkeypatch.setattr(int8, "model_roundings", lambda *_: {})
    monkeypatch.setattr(int8, "pack_roundings", lambda _: before["roundings.npz"])
    monkeypatch.setattr(int8, "int8_network", lambda *_: before["encoder.int8.tflite"])
    int8.add_int8(model, "weights", [])
    assert {path.name: path.read_bytes() for path in model.iterdir()} == before

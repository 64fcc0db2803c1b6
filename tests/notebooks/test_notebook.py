"""The notebook runs from its first cell to its last, teaches what it says, and is kept with what it showed."""

import csv
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import nbformat
import numpy as np
import pytest
from PIL import Image

from captioner.data.formats import read_dataset

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
NAME = "captioning_with_attention.ipynb"
Notebook = nbformat.NotebookNode


def load_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, NOTEBOOKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def kept() -> Notebook:
    notebook = nbformat.read(NOTEBOOKS / NAME, as_version=4)
    nbformat.validate(notebook)
    return notebook


def printed(notebook: Notebook) -> str:
    return "".join(
        output.text for cell in notebook.cells for output in cell.get("outputs", ()) if output.output_type == "stream"
    )


def pictures(notebook: Notebook) -> int:
    return sum("image/jpeg" in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", ()))


def check_lesson(notebook: Notebook) -> None:
    """Hold what a notebook showed against what it says."""
    text = printed(notebook)
    (last,) = re.findall(r"The loss fell from [\d.]+ to ([\d.]+)\.", text)
    assert float(last) < 0.15  # ln 2 a caption, 0.09 a word, is the least that there can be
    captions = dict(re.findall(r"^(\w+\.jpg) +(a .+)$", text, re.MULTILINE))
    with (NOTEBOOKS / "photos/captions.csv").open(encoding="utf-8", newline="") as file:
        held_out = {row["image"] for row in csv.DictReader(file) if row["split"] == "test"}
    assert captions.keys() == held_out
    for name, caption in captions.items():
        subject, place = Path(name).stem.split("_")
        assert subject in caption.split()
        assert place in caption.split()
    assert pictures(notebook) == 3 + len(held_out)


def test_the_kept_notebook_shows_what_it_says(kept):
    check_lesson(kept)


def test_the_kept_notebook_ran_in_order_without_noise(kept):
    code = [cell for cell in kept.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    for output in (output for cell in code for output in cell.outputs):
        assert output.output_type != "error"
        assert output.get("name") != "stderr"


def test_the_kept_notebook_names_no_place_of_a_machine(kept):
    for cell in kept.cells:
        for output in cell.get("outputs", ()):
            output.get("data", {}).pop("image/jpeg", None)  # letters without meaning
    assert re.findall(r"(?:/home|/root|/tmp|/usr|/opt|/Users|[A-Z]:\\\\)", json.dumps(kept)) == []


@pytest.mark.long
def test_the_notebook_runs(kept, monkeypatch):
    monkeypatch.delenv("CAPTIONER_ENCODER_WEIGHTS", raising=False)
    for cell in kept.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    load_script("execute").execute(kept)
    check_lesson(kept)
    assert [o.text for cell in kept.cells for o in cell.get("outputs", ()) if o.get("name") == "stderr"] == []


def test_a_photo_is_drawn_as_it_is_kept():
    drawn = load_script("draw_photos").draw("dog", "brown", "grass", 0)
    kept = Image.open(NOTEBOOKS / "photos/dog_grass.jpg")
    assert np.abs(np.asarray(drawn, float) - np.asarray(kept, float)).mean() < 4  # what JPEG leaves out


def test_a_training_reads_the_photos():
    dataset = read_dataset(NOTEBOOKS / "photos")
    sizes = {split: len(dataset.split(split)) for split in ("train", "dev", "test")}
    assert sizes == {"train": 18, "dev": 2, "test": 4}  # without dev photos, one in ten of the 20 to train becomes one

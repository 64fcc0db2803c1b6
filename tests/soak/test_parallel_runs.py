"""Several runs of the real command that share one output: no row is lost, doubled or cut, in any format."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
PREDICT = [sys.executable, ROOT / "predict.py", "--model", ROOT / "saved_models" / "compact"]
PHOTOS = 120

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt" or not shutil.which("xargs"), reason="no xargs")]


@pytest.fixture(scope="module")
def names(tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(PHOTOS):
        pixels = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((80, 60)).save(folder / f"{number:03}.jpg")
    return [str(folder / f"{number:03}.jpg") for number in range(PHOTOS)]


def rows(output: Path, style: str) -> dict[str, str]:
    """The captions by the names of their photos; fails where a photo has two, or a line is not whole."""
    with output.open(encoding="utf-8", newline="") as file:
        if style == "csv":
            found = [(row["image"], row["caption"]) for row in csv.DictReader(file, strict=True)]
        elif style == "json":
            found = [(row["image"], row["caption"]) for row in map(json.loads, file)]
        else:
            found = [tuple(line.rstrip("\n").split("\t")) for line in file]
    assert len(dict(found)) == len(found)
    return dict(found)


@pytest.mark.parametrize("style", ["csv", "json", "text"])
@pytest.mark.parametrize("runs", ["xargs -n 10 -P 4", "2 x 60"])
def test_every_photo_has_one_row(tmp_path, names, style, runs):
    for repetition in range(3):
        output = tmp_path / f"{repetition}.{style}"
        command = [*map(str, PREDICT), "--format", style, "--output", str(output)]
        if runs == "2 x 60":
            started = [subprocess.Popen([*command, *names[half::2]]) for half in range(2)]
            assert [process.wait(600) for process in started] == [0, 0]
        else:
            given = "\0".join(names).encode()
            subprocess.run(["xargs", "-0", "-n", "10", "-P", "4", *command], input=given, check=True, timeout=600)
        found = rows(output, style)
        assert sorted(found) == names
        assert all(found.values())

"""Photos that take a moment, and what a tiny captioner says of them."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captioner.runtime.captioner import Captioner

TINY = Path(__file__).parents[1] / "serve" / "tiny.py"


@pytest.fixture(scope="session")
def captioner() -> Captioner:
    return runpy.run_path(str(TINY))["tiny_captioner"]()


def draw(path: Path, number: int) -> Path:
    """A photo of four colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colours = np.random.default_rng(number).integers(256, size=(2, 2, 3)).astype(np.uint8)
    Image.fromarray(colours.repeat(8, 0).repeat(8, 1)).save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Seven photos in two folders, and one that is none."""
    for number in range(7):
        draw(tmp_path / "photos" / ("a" if number < 3 else "b/c") / f"{number}.png", number)
    (tmp_path / "photos" / "a" / "broken.jpg").write_bytes(b"no photo")
    (tmp_path / "photos" / "notes.txt").write_text("no photo either")
    return tmp_path / "photos"

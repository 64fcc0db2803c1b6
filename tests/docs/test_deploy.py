"""The script of docs/deploy.md that captions with ONNX Runtime alone gives the captions of the library."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from captioner.data.formats import read_dataset
from captioner.library import Captioner

ROOT = Path(__file__).parents[2]
SCRIPT = re.compile(r"^```python\n# (\w+\.py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEEDED = ("CAPTIONER_DATA", "CAPTIONER_ENCODER_WEIGHTS")
BARE = """
import runpy, sys
for name in ("captioner", "keras", "tensorflow", "ai_edge_litert", "onnx"):
    sys.modules[name] = None  # importing them fails
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def caption_by_script(folder: Path, model: Path, photos: list[Path]) -> list[str]:
    """Export a model to ONNX, and run the script on photos in a process without this package."""
    ((name, script),) = SCRIPT.findall((ROOT / "docs" / "deploy.md").read_text(encoding="utf-8"))
    (folder / name).write_text(script, encoding="utf-8")
    export = ["-m", "captioner", "export", "--model", model, "--format", "onnx", "--output", "exported/onnx"]
    for command in (export, ["-c", BARE, name, *photos]):
        done = subprocess.run(
            [sys.executable, *map(str, command)],
            capture_output=True,
            text=True,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.long
def test_the_script_says_of_the_demo_s_photos_what_the_library_says(tmp_path):
    photos = sorted((ROOT / "photos").glob("*.jpg"))
    model = ROOT / "saved_models" / "compact"
    expected = [caption.text for caption in Captioner.load(model, precision="float32", consensus=False)(photos)]
    assert len(set(expected)) == 5
    assert caption_by_script(tmp_path, model, photos) == expected


@pytest.mark.long
@pytest.mark.data
@pytest.mark.skipif(not all(map(os.environ.get, NEEDED)), reason=f"needs {' and '.join(NEEDED)}")
@pytest.mark.parametrize("name", ["flickr8k", "compact"])
def test_the_script_says_of_flickr8k_what_the_library_says(tmp_path, name):
    photos = [example.image for example in read_dataset(Path(os.environ["CAPTIONER_DATA"])).split("dev")][::50]
    model = ROOT / "saved_models" / name
    expected = [caption.text for caption in Captioner.load(model, precision="float32", consensus=False)(photos)]
    found = caption_by_script(tmp_path, model, photos)
    assert len(found) == len(photos) == 20
    # Rounding turns one search in a hundred; which one, the processor decides
    assert sum(one == other for one, other in zip(found, expected, strict=True)) >= 19

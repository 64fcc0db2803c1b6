"""The scripts of docs/keras.md run as a stranger runs them: each in a process of its own, in this order."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = re.compile(r"^```python\n# (\w+\.py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def scripts() -> dict[str, str]:
    return dict(SCRIPT.findall((ROOT / "docs" / "keras.md").read_text(encoding="utf-8")))


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long
def test_the_scripts_run_one_after_the_other(scripts, tmp_path):
    printed = {}
    for name in ("cell.py", "attention.py", "fit.py", "load.py"):
        (tmp_path / name).write_text(scripts[name], encoding="utf-8")
        printed[name] = run(tmp_path, name)
    numbers = re.findall(r"\d\.\d+|\d\.", printed["attention.py"])
    assert [float(each) for each in numbers] == pytest.approx([1.0] * 40, abs=1e-5)
    assert "cell (RNNCell)" in printed["fit.py"]
    assert printed["load.py"].splitlines() == ["(1, 1)", "(None, None, 10)", "(1, 2, 9)"]


@pytest.mark.long
def test_the_exported_model_captions_as_greedy_search_does(scripts, tmp_path):
    from captioner.library import Captioner

    (tmp_path / "saved_models").symlink_to(ROOT / "saved_models")
    (tmp_path / "photos").symlink_to(ROOT / "photos")
    command = ("export", "--model", "saved_models/compact", "--format", "keras", "--output", "exported/compact.keras")
    run(tmp_path, "-m", "captioner", *command)
    (tmp_path / "caption.py").write_text(scripts["caption.py"], encoding="utf-8")
    said = run(tmp_path, "caption.py").strip()
    greedy = Captioner.load(
        ROOT / "saved_models" / "compact", beam_width=1, no_repeat_ngram_size=0, precision="float32"
    )
    assert said == greedy(tmp_path / "photos" / "chelsea.jpg").text


def test_the_page_has_no_script_that_no_test_runs(scripts):
    assert set(scripts) == {"cell.py", "attention.py", "fit.py", "load.py", "caption.py"}

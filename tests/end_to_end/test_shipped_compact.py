"""The compact model that is shipped: it works from the clone alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import captioner
from captioner.model_files.shipped import shipped_model

ROOT = Path(captioner.__file__).parents[1]
MODEL = shipped_model("compact")
SCORES = ("bleu1", "bleu2", "bleu3", "bleu4", "rouge_l", "cider")
DATA = os.environ.get("CAPTIONER_DATA")


def test_it_is_small_and_as_good_as_it_was_asked_to_be():
    sizes = {path.name: path.stat().st_size for path in MODEL.iterdir()}
    assert sizes["encoder.tflite"] + sizes["decoder.npz"] < 15e6
    assert sum(sizes.values()) < 24e6  # with the encoder in int8, and the regression
    metrics = json.loads((MODEL / "metrics.json").read_text())
    assert (metrics["split"], metrics["images"]) == ("dev", 1000)
    assert metrics["bleu4"] >= 19.8
    assert metrics["cider"] >= 46.5


def test_the_first_call_in_an_empty_home_captions_a_photo(tmp_path):
    """With nothing cached, and nowhere to download from."""
    Image.new("RGB", (320, 240), (90, 160, 60)).save(tmp_path / "lawn.jpg")
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    found = subprocess.run(
        [sys.executable, ROOT / "predict.py", tmp_path / "lawn.jpg"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home"), **nowhere},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert found.returncode == 0, found.stderr
    assert len(found.stdout.split()) >= 3
    assert found.stdout.count("\n") == 1
    assert found.stderr.startswith(f"captioner: captioning with {MODEL}, since InceptionV3's weights are not here")
    left = [path for path in (tmp_path / "home").rglob("*") if not path.is_dir()]
    # That the choice was told, and what the checksums of decoder and regression are
    assert {path.parent.name for path in left} == {"notes", "litert"}
    assert [path.name[:5] for path in left if path.parent.name == "litert"] == ["note-", "note-"]
    assert sum(path.stat().st_size for path in left) < 400


@pytest.mark.long
@pytest.mark.data
@pytest.mark.skipif(not DATA, reason="needs CAPTIONER_DATA, the photos")
def test_the_scores_are_those_that_it_was_shipped_with(command, tmp_path):
    scores = tmp_path / "scores.json"
    outcome = command("evaluate", "--model", MODEL, "--data", DATA, "--split", "dev", "--json", scores)
    assert outcome.status == 0, outcome.err
    found, shipped = (json.loads(path.read_text()) for path in (scores, MODEL / "metrics.json"))
    for name in SCORES:
        assert found[name] == pytest.approx(shipped[name], abs=0.1), name

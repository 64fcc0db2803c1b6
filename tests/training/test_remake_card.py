import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from captioner.errors import CaptionerError
from captioner.training.remake_card import main, remake_card

SHIPPED = Path(__file__).parents[2] / "saved_models"
NAMES = ["flickr8k", "compact", "char-lm"]


@pytest.fixture
def model(tmp_path, request):
    """A copy of a shipped model without its weights, card and curve."""
    name = getattr(request, "param", "flickr8k")
    (tmp_path / name).mkdir()
    for file in ("config.json", "metrics.json", "history.csv"):
        shutil.copy(SHIPPED / name / file, tmp_path / name)
    return tmp_path / name


def change(model: Path, **values) -> None:
    metrics = json.loads((model / "metrics.json").read_text()) | values
    (model / "metrics.json").write_text(json.dumps({key: each for key, each in metrics.items() if each is not None}))


@pytest.mark.parametrize("model", NAMES, indirect=True)
def test_the_shipped_cards_are_those_that_their_metrics_give(model):
    before = {path.name: path.read_bytes() for path in model.iterdir()}
    remake_card(model)
    assert (model / "README.md").read_bytes() == (SHIPPED / model.name / "README.md").read_bytes()
    with Image.open(model / "training.png") as ours, Image.open(SHIPPED / model.name / "training.png") as theirs:
        assert ours.size == theirs.size
    assert {name: (model / name).read_bytes() for name in before} == before


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_curves_are_small(name):
    assert (SHIPPED / name / "training.png").stat().st_size < 100_000


def test_a_model_without_epochs_gets_no_curve(model):
    change(model, epochs=0)
    (model / "history.csv").unlink()
    remake_card(model)
    assert not (model / "training.png").exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"finished": False}, "expected the metrics of a finished training"),
        ({"trained_on": None}, r'does not name the training data; add it, for instance "trained_on"'),
        ({"bleu4": None}, "lacks 'bleu4', which the card needs"),
        ({"settings": {"sead": 1}}, "'sead' is no setting"),
    ],
)
def test_metrics_that_do_not_tell_enough_are_named(model, values, message):
    change(model, **values)
    with pytest.raises(CaptionerError, match=rf"metrics\.json.*{message}"):
        remake_card(model)
    assert not (model / "README.md").exists()


@pytest.mark.parametrize("table", ["", "loss\n1\n", None])
def test_a_table_that_no_training_wrote_is_named(model, table):
    (model / "history.csv").unlink() if table is None else (model / "history.csv").write_text(table)
    with pytest.raises(CaptionerError, match=r"history\.csv should be the table of epochs .* Put the original back"):
        remake_card(model)


def test_a_user_sees_a_line_and_no_traceback(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["remake_card", str(tmp_path / "nothing")])
    with pytest.raises(SystemExit, match=r"error: .*metrics"):
        main()


def test_it_is_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "captioner.training.remake_card", "--help"], capture_output=True, text=True, check=True
    )
    assert "python -m captioner.training.remake_card saved_models/mine" in done.stdout

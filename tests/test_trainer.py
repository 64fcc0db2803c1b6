"""`captioner.train`: a training from Python."""

import logging

import numpy as np
import pytest
from PIL import Image

import captioner
from captioner.data.formats import read_dataset
from captioner.errors import CaptionerError, UsageError

SMALL = {
    "network": "compact",
    "image_size": 80,
    "hidden_size": 8,
    "embedding_dim": 6,
    "attention_dim": 5,
    "epochs": 2,
    "batch_size": 4,
    "min_count": 1,
    "precision": "float32",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    draw = np.random.default_rng(3)
    rows = ["image,caption,split"]
    for number in range(10):
        Image.fromarray(draw.integers(256, size=(32, 32, 3)).astype(np.uint8)).save(folder / f"{number}.png")
        rows.append(f"{number}.png,a dog number {number},{'dev' if number > 7 else 'train'}")
    (folder / "captions.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.mark.long
def test_a_training_from_python(data, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rows = []

    class Follower:
        def on_epoch_end(self, row):
            assert (tmp_path / "model" / "config.json").is_file()
            rows.append(row)

    metrics = captioner.train(data, tmp_path / "model", callbacks=[Follower(), rows.append], **SMALL)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "%|" not in printed.err  # a progress bar
    assert [row["epoch"] for row in rows] == [1, 1, 2, 2]
    assert rows[0] == rows[1]
    assert metrics["settings"]["hidden_size"] == 8
    assert captioner.Captioner.load(tmp_path / "model")(data / "0.png").text is not None
    assert captioner.train(read_dataset(data), tmp_path / "model", callbacks=[rows.append], **SMALL) == metrics
    assert len(rows) == 4  # it was finished


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"epoch": 3}, CaptionerError, r"'epoch' is no setting of --task caption; did you mean epochs\?"),
        ({"epochs": "3"}, CaptionerError, "train: epochs"),
        ({"epochs": -1}, CaptionerError, "train: epochs"),
        ({"task": "char-lm"}, UsageError, "task: expected a captioning model"),
        ({"teachers": ["there"]}, CaptionerError, "there is no model directory"),
        ({"network": "compact", "self_critical_epochs": 1}, UsageError, "--self-critical-epochs"),
    ],
)
def test_settings_are_checked_before_anything_is_loaded(settings, error, message, tmp_path):
    with pytest.raises(error, match=message):
        captioner.train(tmp_path / "no data", tmp_path / "model", **settings)
    assert not (tmp_path / "model").exists()


def test_data_that_are_not_there(tmp_path):
    with pytest.raises(CaptionerError, match="no data"):
        captioner.train(tmp_path / "no data", tmp_path / "model")


def test_the_library_has_no_handler_but_the_silent_one():
    assert [type(each) for each in logging.getLogger("captioner").handlers] == [logging.NullHandler]

import csv
import math

import pytest

from captioner.training.artifacts import read_history, write_history
from captioner.training.checkpoint import Progress

HISTORY = [
    {"epoch": epoch, "seconds": 1.5, "learning_rate": rate, "loss": 3.25, "cross_entropy": 3.0, "dev_loss": 3.5}
    | {"dev_cross_entropy": 3.25, "bleu1": 50.123456, "bleu2": 30.0, "bleu3": 20.0, "bleu4": 10.0, "rouge_l": 40.0}
    | {"cider": 35.0}
    for epoch, rate in ((1, 1e-3), (2, 2.5e-5))
]


def test_the_history_is_a_table(tmp_path):
    write_history(tmp_path, Progress(2, 1, HISTORY))
    with (tmp_path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["learning_rate"]) for row in rows] == [1e-3, 2.5e-5]
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[0]["bleu1"]) == pytest.approx(50.1235, abs=1e-3)


def test_stages_stand_beside_their_epochs_and_are_read_again(tmp_path):
    stages = Progress(2, 1, HISTORY).in_stage("cross_entropy").history[:1]
    write_history(tmp_path, Progress(2, 1, [*stages, HISTORY[1] | {"reward": 0.5}]))
    with (tmp_path / "history.csv").open() as file:
        assert file.readline().startswith("epoch,stage,seconds,learning_rate,")
    first, second = read_history(tmp_path / "history.csv", ("epoch", "cider"))
    assert first["stage"] == "cross_entropy"
    assert "stage" not in second
    assert (second["epoch"], second["reward"], second["cider"]) == (2, 0.5, 35.0)
    assert math.isnan(first["reward"])
    with pytest.raises(ValueError, match="no column perplexity"):
        read_history(tmp_path / "history.csv", ("epoch", "perplexity"))

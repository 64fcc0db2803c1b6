import csv

import pytest

from captioner.training.artifacts import write_history
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

import json

import pytest

from captioner.errors import CaptionerError
from captioner.training.checkpoint import Progress
from captioner.training.lineage import imitation_epochs, parent_history, parent_metrics

HEADER = "epoch,loss,cross_entropy,dev_cross_entropy,bleu1,bleu4,rouge_l,cider"
TOLD = {"settings": {"data": "0123"}, "epochs": 2, "best_epoch": 1}


def test_a_model_without_metrics_does_not_tell_how_it_learned(tmp_path):
    assert parent_metrics(tmp_path) is None
    (tmp_path / "metrics.json").write_text('{"bleu4": 21.0}')
    assert parent_metrics(tmp_path) is None
    told = {"epochs": 3, "best_epoch": 2, "training_seconds": 60, "settings": {"seed": 1}}
    (tmp_path / "metrics.json").write_text(json.dumps(told | {"bleu4": 21.0}))
    assert parent_metrics(tmp_path) == told
    imitation = [{"epoch": 1, "dev_regions": 0.5, "dev_keys": 0.25, "dev_mean": 0.75}]
    (tmp_path / "metrics.json").write_text(json.dumps(told | {"imitation": imitation}))
    assert parent_metrics(tmp_path) == told | {"imitation": imitation}
    (tmp_path / "metrics.json").write_text(json.dumps(told | {"settings": "none"}))
    assert parent_metrics(tmp_path) is None


def test_an_imitation_by_an_earlier_version_is_told_by_the_names_of_today():
    former = [{"epoch": 1, "places": 0.75, "dev_places": 0.5, "dev_keys": 0.25, "dev_mean": 0.125}]
    today = [{"epoch": 1, "regions": 0.75, "dev_regions": 0.5, "dev_keys": 0.25, "dev_mean": 0.125}]
    assert imitation_epochs({"imitation": former}) == today
    for strange in ("none", [1], [{"epoch": 1}]):
        assert imitation_epochs({"imitation": strange}) == []


def test_the_epochs_before_come_first_and_those_after_count_on(tmp_path):
    (tmp_path / "history.csv").write_text(f"{HEADER}\n1,3.5,3.25,3.5,50,10,40,35\n2,3.25,3,3.25,52,12,41,37.5\n")
    earlier = parent_history(tmp_path, TOLD, "0123")
    assert [row["dev_cross_entropy"] for row in earlier.history] == [3.5, 3.25]
    progress = earlier.followed_by(Progress(2, 1, [{"epoch": 1, "reward": 0.5}, {"epoch": 2, "reward": 0.25}]))
    assert [row["epoch"] for row in progress.history] == [1, 2, 3, 4]
    assert progress.best_epoch == 3
    worse = earlier.followed_by(Progress(1, 0, [{"epoch": 0, "cider": 35.0}, {"epoch": 1, "cider": 30.0}]))
    assert [row["epoch"] for row in worse.history] == [1, 2, 3]  # epoch 0 is the best of those before
    assert (worse.epoch, worse.best_epoch) == (3, 1)


def test_the_epochs_before_tell_whose_they_were(tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    (base / "history.csv").write_text(
        f"{HEADER.replace('epoch', 'epoch,stage')}\n1,old: joint,3.5,3.25,3.5,50,10,40,35\n2,joint,3,3,3,5,1,4,3\n"
        "3,,3,3,3,5,1,4,3\n"
    )
    history = parent_history(base, TOLD, "0123").history
    assert [row["stage"] for row in history] == ["old: joint", "base: joint", "base"]
    (base / "history.csv").write_text(f"{HEADER}\n1,3.5,3.25,3.5,50,10,40,35\n2,3.25,3,3.25,52,12,41,37.5\n")
    told = TOLD | {"settings": {"data": "0123", "epochs": 2}}
    history = parent_history(base, told, "0123").history
    assert [row["stage"] for row in history] == ["base: cross_entropy"] * 2
    assert all(type(row["epoch"]) is int for row in history)


@pytest.mark.parametrize("told", [None, {"settings": {}}, {"settings": {"data": "4567"}}])
def test_epochs_on_other_photos_are_not_comparable(tmp_path, told):
    (tmp_path / "history.csv").write_text(f"{HEADER}\n1,3.5,3.25,3.5,50,10,40,35\n")
    assert parent_history(tmp_path, told, "0123").history == []


def test_a_model_without_a_table_has_no_epochs(tmp_path):
    assert parent_history(tmp_path, TOLD, "0123").history == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (HEADER.replace("cider", "score") + "\n1,3.5,3.25,3.5,50,10,40,35\n", "no column cider"),
        (f"{HEADER}\none,3.5,3.25,3.5,50,10,40,35\n", "one"),
        (f"{HEADER}\n,3.5,3.25,3.5,50,10,40,35\n", "non-finite"),
        ("", "No columns"),
        ("\x00\x01\n", "no column epoch"),
    ],
)
def test_another_table_is_refused_with_what_to_do(tmp_path, text, wrong):
    (tmp_path / "history.csv").write_text(text)
    with pytest.raises(CaptionerError, match=f"{wrong}.* to continue without"):
        parent_history(tmp_path, TOLD, "0123")

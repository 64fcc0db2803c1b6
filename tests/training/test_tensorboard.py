"""The figures of each epoch for TensorBoard, read back from the file of events."""

import sys
from importlib.util import find_spec

import pytest

from captioner.errors import CaptionerError
from captioner.training import tensorboard


def test_without_the_package_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(CaptionerError, match=r"--tensorboard .*logs needs tensorboard, .*'\.\[tensorboard\]'"):
        tensorboard.TensorBoard(tmp_path / "logs")
    assert not (tmp_path / "logs").exists()


@pytest.mark.skipif(find_spec("tensorboard") is None, reason="needs the package tensorboard")
def test_every_figure_is_a_scalar_of_its_epoch(tmp_path):
    import tensorflow as tf

    follower = tensorboard.TensorBoard(tmp_path / "logs")
    rows = [{"epoch": 1, "loss": 2.5, "cider": 10.0}, {"epoch": 2, "loss": 1.5, "cider": 20.0}]
    for row in rows:
        follower.on_epoch_end(row)
    found = {}
    for path in (tmp_path / "logs").iterdir():
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                found[event.step, value.tag] = float(tf.make_ndarray(value.tensor))
    assert found == {(row["epoch"], name): row[name] for row in rows for name in ("loss", "cider")}

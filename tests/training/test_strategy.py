import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from captioner.errors import UsageError
from captioner.training.devices import choose_strategy

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> list[dict]:
    """Trainings on one device and on two, without dropout; then on one, and twice on two, with dropout as shipped."""
    found = subprocess.run(
        [sys.executable, HERE / "two_devices.py", tmp_path_factory.mktemp("runs")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1]), "CUDA_VISIBLE_DEVICES": "-1"},
    )
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


@pytest.mark.long
def test_two_devices_learn_what_one_learns(runs):
    one, two = runs[:2]
    assert (one["devices"], two["devices"]) == (1, 2)
    assert one["losses"][-1][0] < one["losses"][0][0]
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=0, atol=1e-5)
    for ours, theirs in zip(two["weights"], one["weights"], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.long
def test_with_dropout_two_devices_learn_too_and_the_same_each_time(runs):
    """Each device drops activations of its own, so the weights are not those of one device; the loss falls alike."""
    without, (one, two, again) = runs[0], runs[2:]
    assert (one["devices"], two["devices"]) == (1, 2)
    assert two["losses"] == again["losses"]
    assert two["weights"] == again["weights"]
    assert two["losses"][-1][0] < two["losses"][0][0]
    assert two["losses"][-1][2] < two["losses"][0][2]
    assert abs(two["losses"][0][0] - without["losses"][0][0]) > 1e-3  # something was dropped
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=0.1)


def test_where_there_is_one_device_nothing_is_mirrored():
    assert choose_strategy("auto") is tf.distribute.get_strategy()
    with pytest.raises(UsageError, match="--strategy mirrored: expected several GPUs that TensorFlow sees, found 0"):
        choose_strategy("mirrored")

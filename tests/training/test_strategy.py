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


@pytest.mark.long
def test_two_devices_learn_what_one_learns(tmp_path):
    found = subprocess.run(
        [sys.executable, HERE / "two_devices.py", tmp_path],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1]), "CUDA_VISIBLE_DEVICES": "-1"},
    )
    assert found.returncode == 0, found.stderr
    one, two = json.loads(found.stdout)
    assert (one["devices"], two["devices"]) == (1, 2)
    assert one["losses"][-1][0] < one["losses"][0][0]
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=0, atol=1e-5)
    for ours, theirs in zip(two["weights"], one["weights"], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


def test_where_there_is_one_device_nothing_is_mirrored():
    assert choose_strategy("auto") is tf.distribute.get_strategy()
    with pytest.raises(UsageError, match="--strategy mirrored: expected several GPUs that TensorFlow sees, found 0"):
        choose_strategy("mirrored")

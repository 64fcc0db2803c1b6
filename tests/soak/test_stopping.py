"""Ctrl-C and SIGTERM while a training reads photos that take seconds each."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]

# As a terminal starts a command, whatever this process ignores
HEARD = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
@pytest.mark.skipif("CAPTIONER_ENCODER_WEIGHTS" not in os.environ, reason="CAPTIONER_ENCODER_WEIGHTS is not set")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_feature_pass_is_stopped_in_seconds(tmp_path, slow_photo, number, status):
    photos = tmp_path / "photos"
    photos.mkdir()
    rows = ["image,caption,split"]
    for each in range(40):
        if each % 4:
            (photos / f"{each}.bmp").write_bytes(slow_photo)
        else:
            Image.fromarray(np.full((40, 40, 3), each, np.uint8)).save(photos / f"{each}.bmp")
        rows.append(f"{each}.bmp,a photo of nothing,{'dev' if each < 8 else 'train'}")
    (photos / "captions.csv").write_text("\n".join(rows) + "\n")
    command = [sys.executable, str(ROOT / "train.py"), "--data", str(photos), "--output", str(tmp_path / "model")]
    with subprocess.Popen(
        [sys.executable, "-c", HEARD, *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
    ) as process:
        children = Path(f"/proc/{process.pid}/task")
        while process.poll() is None and not any(path.read_text() for path in children.glob("*/children")):
            time.sleep(0.1)
        time.sleep(3)
        process.send_signal(number)
        begun = time.monotonic()
        _, complaints = process.communicate(timeout=60)
    taken = time.monotonic() - begun
    print(f"stopped after {taken:.1f} s")
    assert taken < 5
    assert process.returncode == status, complaints
    assert "Traceback" not in complaints

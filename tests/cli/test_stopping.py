"""Ctrl-C and SIGTERM, whatever photo is being opened."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captioner.cli.main import Stopped, stoppable

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the system knows no such signals")

# As a terminal starts a command, whatever this process ignores
HEARD = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)


@pytest.fixture
def folder(tmp_path, slow_photo):
    """A good photo among those that take seconds."""
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.fromarray(np.full((40, 40, 3), 128, np.uint8)).save(photos / "0.png")
    for number in range(1, 13):
        (photos / f"{number}.bmp").write_bytes(slow_photo)
    return photos


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_folder_in_work_is_stopped_at_once(folder, number, status):
    table = folder.parent / "captions.csv"
    command = [sys.executable, str(ROOT / "predict.py"), str(folder), "--model", str(ROOT / "saved_models/compact")]
    with subprocess.Popen(
        [sys.executable, "-c", HEARD, *command, "--format", "csv", "--output", str(table)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not table.exists() and process.poll() is None:
            time.sleep(0.05)
        time.sleep(1)
        process.send_signal(number)
        begun = time.monotonic()
        _, complaints = process.communicate(timeout=60)
    assert time.monotonic() - begun < 5
    assert process.returncode == status
    assert "Traceback" not in complaints
    assert complaints.rstrip().endswith("captioner: stopped; the results so far are written")
    assert [path.name for path in folder.parent.iterdir() if path.name.startswith(".captioner-")] == []


@pytest.mark.parametrize("imported", ["captioner.cli.main", "captioner.cli.parser", "captioner.cli.arguments"])
@pytest.mark.parametrize(
    "start",
    [
        "runpy.run_path('predict.py', run_name='__main__')",
        "runpy.run_path('train.py', run_name='__main__')",
        "sys.argv.insert(1, 'predict'); runpy.run_module('captioner', run_name='__main__')",
    ],
)
def test_ctrl_c_during_imports_shows_no_traceback(start, imported):
    script = (
        "import os, runpy, signal, sys\n"
        "class Interrupted:\n"
        "    def find_spec(name, *unused):\n"
        f"        if name == {imported!r}:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        f"sys.meta_path.insert(0, Interrupted)\n{start}\n"
    )
    command = [sys.executable, "-c", HEARD, sys.executable, "-c", script, "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stdout == ""
    assert done.stderr in ("", "captioner: stopped\n")


def test_who_asks_twice_is_not_kept_waiting():
    script = (
        "import os, signal, sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from captioner.cli.main import stoppable\n"
        "with stoppable():\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "    finally:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        time.sleep(20)\n"
    )
    done = subprocess.run([sys.executable, "-c", HEARD, sys.executable, "-c", script, str(ROOT)], check=False)
    assert done.returncode == 130


def test_the_handlers_are_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped) as found, stoppable():
        os.kill(os.getpid(), signal.SIGTERM)
    assert found.value.number == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before


def test_photos_behind_one_that_breaks_its_budget_are_captioned(folder, slow_photo, monkeypatch):
    """In order, and each with its own line."""
    from captioner.library import Captioner
    from captioner.photos.limits import Budget
    from captioner.photos.process import PhotoOpener

    for number in range(3, 13):
        (folder / f"{number}.bmp").unlink()
    buffer = io.BytesIO()
    Image.fromarray(np.full((40, 40, 3), 40, np.uint8)).save(buffer, "PNG")
    captioner = Captioner.load(ROOT / "saved_models/compact")
    captioner._opener = PhotoOpener(Budget(processor=0.3, wall=60))
    sources = [folder / "0.png", folder / "1.bmp", buffer.getvalue(), folder / "2.bmp", folder / "0.png"]
    results = list(captioner.stream(sources))
    assert [source for source, _ in results] == sources
    texts = [getattr(result, "text", None) for _, result in results]
    assert texts[0] == texts[4] == captioner(folder / "0.png").text
    assert texts[2] == captioner(buffer.getvalue()).text
    for place in (1, 3):
        assert "takes too much time to open" in str(results[place][1])

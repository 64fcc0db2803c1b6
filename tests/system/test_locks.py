import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from captioner.errors import UsageError
from captioner.system.locks import alone_in, locked_directory

HOLD = """
import sys
from pathlib import Path
from captioner.system.locks import alone_in
with alone_in(Path(sys.argv[1]), "training"):
    print("ready", flush=True)
    sys.stdin.read()
"""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows locks no directories")


def hold(directory: Path) -> subprocess.Popen:
    """Start a process that has a directory until its input ends."""
    command = [sys.executable, "-c", HOLD, str(directory)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2], text=True
    )
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("killed", [False, True])
def test_a_directory_that_another_process_has_is_refused_until_it_ends(tmp_path, killed):
    directory = tmp_path / "models" / "new"
    with hold(directory) as process:
        refused = pytest.raises(UsageError, match=r"new: another training is writing there; wait until it ends")
        with refused, alone_in(directory, "training"):
            pytest.fail("it was not refused")
        assert directory.is_dir()
        if killed:
            process.kill()
        process.stdin.close()
        process.wait()
    with alone_in(directory, "training"):
        (directory / "config.json").touch()
    assert [path.name for path in directory.iterdir()] == ["config.json"]


def test_a_directory_that_stays_empty_goes_again_if_it_was_not_there(tmp_path):
    with alone_in(tmp_path / "new", "training"):
        assert (tmp_path / "new").is_dir()
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    with alone_in(tmp_path / "old", "training"):
        pass
    assert (tmp_path / "old").is_dir()


def test_one_at_a_time_has_a_directory_of_ours(tmp_path):
    """Threads stand for processes: each opens the directory by itself, and the lock is that of what was opened."""
    directory, order, entered = tmp_path / "cache" / "features", [], threading.Event()

    def work():
        entered.wait(60)
        with locked_directory(directory):
            order.append("second")

    thread = threading.Thread(target=work)
    thread.start()
    with locked_directory(directory):
        entered.set()
        thread.join(0.2)  # without a lock it is done by then
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("task", ["captions", "text"])
def test_a_second_training_into_one_directory_is_refused_before_it_loads_anything(tmp_path, task, monkeypatch, capsys):
    from captioner.cli import train_text
    from captioner.cli.main import main
    from captioner.training import start

    def load(*arguments):
        pytest.fail("it was not refused")

    monkeypatch.setattr(start, "load_training", load)
    monkeypatch.setattr(train_text, "load_training", load)
    (tmp_path / "book.txt").write_text("once upon a time there was a fox\n" * 9)
    (tmp_path / "data").mkdir()
    rows = []
    for number in range(20):
        from PIL import Image

        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / "data" / f"{number}.jpg")
        rows.append(f"{number}.jpg,a dog runs\n")
    (tmp_path / "data" / "captions.txt").write_text("image,caption\n" + "".join(rows))
    arguments = {
        "captions": ["--data", tmp_path / "data"],
        "text": ["--task", "char-lm", "--text", tmp_path / "book.txt"],
    }
    output = tmp_path / "model"
    with hold(output) as process:
        status = main(["train", *map(str, arguments[task]), "--output", str(output)])
        process.stdin.close()
        process.wait()
    assert status == 2
    assert f"{output}: another training is writing there" in capsys.readouterr().err

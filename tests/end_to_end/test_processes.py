"""What only a process of its own shows: signals, pipes, and all that TensorFlow writes around Python."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def start(*argv: object, **settings: object) -> subprocess.Popen:
    hidden = ("PYTHONUNBUFFERED", "TF_CPP_MIN_LOG_LEVEL", "KERAS_BACKEND")  # set for tests, and not by users
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    return subprocess.Popen(
        [sys.executable, *map(str, argv)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**environment, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        **settings,
    )


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Let processes hear Ctrl-C also where the tests do not: a shell's background jobs ignore it, and so their own."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def stopped(arguments: list[object], epoch: int, number: signal.Signals) -> tuple[int, str]:
    """Train until that epoch is reported, then send the signal: the exit status, and all that was said on stderr."""
    with start("train.py", *arguments) as process:
        told = []
        for line in process.stderr:
            told.append(line)
            if f"epoch {epoch}/5 " in line and "CIDEr-D" in line:
                process.send_signal(number)
                break
        out, rest = process.communicate(timeout=100)
    said = "".join(told) + rest
    assert out == ""
    assert "Traceback" not in said
    return process.returncode, said


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise on Windows")
@pytest.mark.usefixtures("trained")
def test_a_training_that_was_stopped_and_killed_goes_on(train_arguments, command, tmp_path):
    arguments = [*train_arguments, "--epochs", 5, "--output", tmp_path]
    status, said = stopped(arguments[1:], 1, signal.SIGINT)
    assert status == 130, said
    assert said.endswith("run the same command again to resume\n")

    status, said = stopped(arguments[1:], 3, signal.SIGKILL)
    assert status == -signal.SIGKILL, said
    assert "resuming after epoch " in said

    refused = command(*arguments, "--hidden-size", 9)
    assert refused.status == 2
    assert "hidden_size was 16, now 9" in refused.err

    outcome = command(*arguments)
    assert outcome.status == 0
    assert "resuming after epoch " in outcome.err
    assert json.loads((tmp_path / "metrics.json").read_text())["epochs"] == 5


def test_predict_says_the_caption_and_nothing_else(predict, model, photos, encoder_weights):
    arguments = [photos / "red_circle.png", "--model", model, "--encoder-weights", encoder_weights]
    with start("predict.py", *arguments) as process:
        out, err = process.communicate(timeout=100)
    assert (process.returncode, err) == (0, "")
    assert out == predict(photos / "red_circle.png").out


def test_a_reader_that_goes_early_is_no_error_to_talk_about(model, photos, encoder_weights):
    arguments = [photos, "--model", model, "--encoder-weights", encoder_weights]
    with start("-m", "captioner", "predict", *arguments) as process:
        process.stdout.close()
        err = process.stderr.read()
    assert process.returncode == 1
    assert [line for line in err.splitlines() if "photo" not in line] == []

import argparse
import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from weakref import WeakSet

import pytest

from captioner import __version__
from captioner.cli import main as main_module
from captioner.cli.main import main
from captioner.cli.table import scores_table
from captioner.errors import CaptionerError, UsageError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def command(monkeypatch):
    """Returns a function that puts a command that raises `error` in the place of the real ones."""

    def stand_in(error, **attributes):
        def run(arguments):
            if error is not None:
                raise error
            return 0

        module = SimpleNamespace(make_parser=lambda prog: argparse.ArgumentParser(prog=prog), run=run, **attributes)
        monkeypatch.setattr(main_module, "import_module", lambda name: module)

    return stand_in


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (None, 0, None),
        (CaptionerError("no such model"), 1, "no such model"),
        (UsageError("--cell was rnn"), 2, "--cell was rnn"),
        (KeyboardInterrupt(), 130, "stopped"),
        (MemoryError(), 1, "not enough memory"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), 1, "the disk is full; make room"),
        (OSError(errno.EFBIG, os.strerror(errno.EFBIG)), 1, "no file may become so large here (see ulimit -f)"),
        (PermissionError(errno.EACCES, "Permission denied", "out.csv"), 1, "out.csv: Permission denied"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", ".a1-x", None, "x"), 1, "x: Is a directory"),
        (OSError("unable to lock file"), 1, "unable to lock file"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("name", ["train", "predict", "evaluate", "serve", "bulk", "export"])
def test_what_goes_wrong_becomes_a_message_and_a_status(command, capsys, name, error, status, message):
    command(error)
    assert main([name]) == status
    out, err = capsys.readouterr()
    assert out == ""
    if message is None:
        assert err == ""
    else:
        assert err.startswith(f"captioner: {message}")
        assert err.count("\n") == 1


def test_a_command_says_what_ctrl_c_leaves(command, capsys):
    command(KeyboardInterrupt(), INTERRUPTED="finished epochs are kept")
    assert main(["train"]) == 130
    assert capsys.readouterr().err == "captioner: finished epochs are kept\n"


@pytest.mark.parametrize("among_bars", [False, True])
def test_what_ctrl_c_leaves_half_made_goes_in_silence(monkeypatch, capsys, among_bars):
    bars = WeakSet()

    def stop():
        raise KeyboardInterrupt

    class Bar:
        def __init__(self):
            if among_bars:  # as tqdm's, which looks for a free line among the others
                bars.add(self)
                {None for bar in bars if bar is not self or stop()}
            stop()

        def __del__(self):
            gone.append(self.position)  # as tqdm's, which its __init__ sets last

    gone, unraised = [], []
    monkeypatch.setattr(sys, "unraisablehook", unraised.append)
    module = SimpleNamespace(make_parser=lambda prog: argparse.ArgumentParser(prog=prog), run=lambda arguments: Bar())
    monkeypatch.setattr(main_module, "import_module", lambda name: module)
    assert main(["train"]) == 130
    assert (capsys.readouterr().err, unraised, gone) == ("captioner: stopped\n", [], [])


@pytest.mark.parametrize(("argv", "status"), [([], 2), (["paint"], 2), (["--version"], 0), (["--help"], 0)])
def test_without_a_command(capsys, argv, status):
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == status
    out, err = capsys.readouterr()
    assert (out == "") == (status == 2)
    if argv == ["--version"]:
        assert out == f"captioner {__version__}\n"
    elif argv:
        assert all(name in out + err for name in ("predict", "train", "evaluate", "serve", "bulk", "export"))
    else:
        assert "required: COMMAND" in err


def python(*arguments, stdout=subprocess.PIPE, cwd=None):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment["PYTHONPATH"] = str(ROOT)
    return subprocess.run(
        [sys.executable, *arguments], stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment, cwd=cwd
    )


@pytest.mark.parametrize(
    "script",
    [["train.py"], ["predict.py"], *(["-m", "captioner", command] for command in ("evaluate", "serve", "bulk"))],
)
def test_help_needs_no_tensorflow(script):
    found = python("-X", "importtime", *script, "--help", cwd=ROOT)
    assert found.returncode == 0
    program = f"python {' '.join(script)}"
    assert found.stdout.startswith(f"usage: {program} ")
    assert "examples:" in found.stdout
    assert "argparse" in found.stderr
    assert "tensorflow" not in found.stderr
    assert "keras" not in found.stderr
    assert "starlette" not in found.stderr
    assert "pyarrow" not in found.stderr


PRINTING = """
import sys
from types import SimpleNamespace
from weakref import WeakSet
from captioner.cli import main
def run(arguments):
    print("a result")
    return 0
parser = SimpleNamespace(parse_args=lambda argv: None)
main.import_module = lambda name: SimpleNamespace(make_parser=lambda program: parser, run=run)
sys.exit(main.main(["evaluate"]))
"""


def test_a_reader_that_has_gone_is_no_error_to_talk_about():
    read, write = os.pipe()
    os.close(read)
    try:
        found = python("-c", PRINTING, stdout=write)
    finally:
        os.close(write)
    assert (found.returncode, found.stderr) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here, whose disk is always full")
def test_results_that_cannot_be_written_are_an_error():
    with Path("/dev/full").open("w") as full:
        found = python("-c", PRINTING, stdout=full)
    assert found.returncode == 1
    assert found.stderr == "captioner: the disk is full; make room and run the same command again\n"


def test_scores_as_a_table():
    metrics = {"bleu1": 61.237, "bleu2": 43.0, "bleu3": 30.25, "bleu4": 20.0, "rouge_l": 45.5, "cider": 101.5}
    metrics |= {"images": 1000, "split": "dev", "beam_width": 4, "length_penalty": 0.7, "no_repeat_ngram_size": 0}
    heading, names, values = scores_table(metrics).split("\n")
    assert heading == "1000 dev photos, beam width 4, length penalty 0.7, scores x 100"
    assert names.split() == ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr-D"]
    assert values.split() == ["61.24", "43.00", "30.25", "20.00", "45.50", "101.50"]
    assert len(names) == len(values)
    assert "length penalty 0.7, no 3-gram twice, scores" in scores_table(metrics | {"no_repeat_ngram_size": 3})


@pytest.mark.parametrize("command", [["predict", "nothing.jpg"], ["serve", "--port", "0", "--model", "nothing"]])
def test_numpy_is_told_to_use_one_thread_before_it_is_imported(command):
    code = f"""
import os, sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            print("threads:", os.environ.get("OPENBLAS_NUM_THREADS"))

os.environ.pop("OPENBLAS_NUM_THREADS", None)
sys.meta_path.insert(0, Watch())
from captioner.cli.main import run_command
run_command({command[0]!r}, {command[1:]!r}, "captioner")
"""
    assert python("-c", code).stdout == "threads: 1\n"


def test_an_argument_does_nothing_to_the_terminal(capsys):
    with pytest.raises(SystemExit) as found:
        main(["predict", "a.jpg", "--\x1b[2Jb.jpg"])
    assert found.value.code == 2
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert r"unrecognized arguments: --\x1b[2Jb.jpg" in said

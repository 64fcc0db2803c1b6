"""Notes, told once where they are about a choice and never with --quiet; and the help, which names the program."""

import logging
import sys
from pathlib import Path

import pytest

from captioner.cli import predict
from captioner.cli.export import make_parser as export_parser
from captioner.cli.main import main, note
from captioner.cli.messages import shown_messages, silence
from captioner.cli.train_options import make_parser as train_parser
from captioner.system.cache import cache_entries

ROOT = Path(__file__).parents[2]
log = logging.getLogger("captioner.test")
ONCE = {"once": True}


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path, no_inception) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(ROOT)
    return tmp_path / "cache"


def told(capsys, *messages, **extra) -> list[str]:
    with shown_messages():
        for each in messages:
            log.warning(each, extra=extra)
    return capsys.readouterr().err.splitlines()


def test_a_note_is_told_once(capsys, cache):
    assert told(capsys, "one", "two", "one", **ONCE) == ["captioner: one", "captioner: two"]
    assert told(capsys, "one", "three", **ONCE) == ["captioner: three"]
    assert told(capsys, "one", "one") == ["captioner: one"] * 2  # of those that are always told
    assert {(entry.kind, entry.about) for entry in cache_entries()} == {("notes", "shown")}
    for entry in cache_entries("notes"):
        assert entry.remove()
    assert told(capsys, "one", **ONCE) == ["captioner: one"]


def test_where_nothing_can_be_kept_it_is_told_again(capsys, cache):
    cache.write_text("a file")
    assert told(capsys, "one", "one", **ONCE) == ["captioner: one"] * 2


def test_the_choice_of_a_model_is_told_by_the_first_command_alone(capsys):
    outputs = []
    for _ in range(2):
        assert main(["predict", "photos/camera.jpg"]) == 0
        outputs.append(capsys.readouterr())
    assert outputs[0].out == outputs[1].out
    assert outputs[0].err.startswith("captioner: captioning with saved_models/compact, since InceptionV3's weights are")
    assert outputs[1].err == ""


def test_quiet_leaves_errors_alone(capsys, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8no photo")
    arguments = ["predict", "photos/camera.jpg", str(tmp_path / "broken.jpg"), "--exclude", "zyx", "--quiet"]
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert out.startswith("photos/camera.jpg\t")
    (line,) = err.splitlines()
    assert "broken.jpg" in line
    assert main(arguments[:-1]) == 1  # nothing was remembered as told that was not
    loud = capsys.readouterr().err
    assert "captioning with" in loud
    assert "does not know 'zyx'" in loud


def test_silence_ends_with_the_command(capsys):
    with shown_messages():
        silence()
        note("nothing")
        log.error("an error")
    assert capsys.readouterr().err == "captioner: an error\n"
    assert told(capsys, "something") == ["captioner: something"]


@pytest.mark.parametrize(
    ("program", "caption", "others"),
    [
        ("python predict.py", "python predict.py", "python -m captioner"),
        ("captioner predict", "captioner predict", "captioner"),
        ("python -m captioner predict", "python -m captioner predict", "python -m captioner"),
    ],
)
def test_the_help_names_the_program_as_it_was_started(program, caption, others, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    shown = predict.make_parser(program).format_help()
    assert f"  {caption} photo.jpg " in shown
    assert f"`{others} download encoder`" in shown
    train = "train.py" if program.endswith(".py") else f"{others} train"
    assert f"A model of `{train} --task char-lm`" in shown


def test_the_help_of_the_package_names_no_files_of_a_clone():
    for parser in (
        predict.make_parser("captioner predict"),
        export_parser("captioner export"),
        train_parser("captioner train", True),
    ):
        shown = parser.format_help()
        assert ".py" not in shown
        assert "python -m captioner" not in shown


def test_a_message_appears_once_where_a_library_lets_the_root_logger_print(capsys):
    root, handler = logging.getLogger(), logging.StreamHandler()
    with shown_messages():
        handler.stream = sys.stderr
        root.addHandler(handler)
        try:
            log.warning("one")
        finally:
            root.removeHandler(handler)
    assert capsys.readouterr().err.splitlines() == ["captioner: one"]
    assert logging.getLogger("captioner").propagate

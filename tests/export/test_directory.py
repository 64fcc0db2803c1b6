import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from captioner import __version__
from captioner.errors import CaptionerError
from captioner.export import directory as directory_module
from captioner.export.directory import MARKER, atomic_directory, check_output
from captioner.system import atomic
from captioner.system.files import write_text

ROOT = Path(__file__).parents[2]


def export(output, content="new", error=None):
    with atomic_directory(output, format="test") as temporary:
        (temporary / "part").mkdir()
        (temporary / "part" / "a").write_text(content)
        if error:
            raise error


def test_a_directory_is_made_with_its_parents_and_a_marker(tmp_path):
    export(tmp_path / "far" / "out")
    assert (tmp_path / "far" / "out" / "part" / "a").read_text() == "new"
    marker = json.loads((tmp_path / "far" / "out" / MARKER).read_text())
    assert marker == {"format": "test", "captioner": __version__, "files": ["part/a"]}
    assert [path.name for path in (tmp_path / "far").iterdir()] == ["out"]
    (tmp_path / "usual").mkdir()
    assert (tmp_path / "far" / "out").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_an_empty_directory_and_a_former_export_are_replaced(tmp_path):
    (tmp_path / "out").mkdir()
    export(tmp_path / "out", "old")
    (tmp_path / "out" / "__pycache__").mkdir()
    (tmp_path / "out" / "__pycache__" / "a.pyc").touch()
    export(tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [MARKER, "part"]
    assert (tmp_path / "out" / "part" / "a").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("added", ["notes.txt", "part/b", "photos/a/cat.jpg", f"v2/{MARKER}"])
def test_an_export_to_which_something_was_added_stays(tmp_path, added):
    export(tmp_path / "out", "old")
    path = tmp_path / "out" / added
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    with pytest.raises(CaptionerError, match=f"--output .*out: {added} was added to the export that is there"):
        export(tmp_path / "out")
    assert path.read_text() == "mine"
    assert (tmp_path / "out" / "part" / "a").read_text() == "old"


def test_an_export_of_an_earlier_version_is_replaced_unless_another_is_inside(tmp_path):
    export(tmp_path / "out", "old")
    (tmp_path / "out" / MARKER).write_text('{"format": "test", "captioner": "0.1.0"}')
    export(tmp_path / "out" / "v2")
    with pytest.raises(CaptionerError, match=f"v2/{MARKER} was added to the export that is there"):
        export(tmp_path / "out")
    (tmp_path / "out" / "v2").rename(tmp_path / "v2")
    export(tmp_path / "out")
    assert (tmp_path / "out" / "part" / "a").read_text() == "new"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("full")])
@pytest.mark.parametrize("former", [False, True])
def test_what_is_interrupted_leaves_what_was(tmp_path, error, former):
    if former:
        export(tmp_path / "out", "old")
    with pytest.raises(type(error)):
        export(tmp_path / "out", error=error)
    assert [path.name for path in tmp_path.iterdir()] == ["out"] * former
    if former:
        assert (tmp_path / "out" / "part" / "a").read_text() == "old"


def test_an_interrupted_exchange_puts_the_former_back(tmp_path, monkeypatch):
    export(tmp_path / "out", "old")
    rename = directory_module.Path.rename

    def interrupted(path, target):
        if path.name == "new":
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(directory_module.Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export(tmp_path / "out")
    assert (tmp_path / "out" / "part" / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_nothing_else_is_replaced(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    with pytest.raises(CaptionerError, match=r"--output .*file: is a file; expected a directory"):
        export(tmp_path / "file")
    with pytest.raises(CaptionerError, match=r"--output .*full: is a directory with other things in it.*name a new"):
        export(tmp_path / "full")
    assert (tmp_path / "full" / "file").read_text() == (tmp_path / "file").read_text() == "mine"
    monkeypatch.chdir(tmp_path)
    for here in (".", "..", tmp_path):
        with pytest.raises(CaptionerError, match="is where you are; name a directory to make in it"):
            check_output(directory_module.Path(here))


def test_what_came_while_the_export_was_written_stays(tmp_path):
    def hurry():
        with atomic_directory(tmp_path / "out") as temporary:
            (temporary / "a").touch()
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "b").touch()

    with pytest.raises(CaptionerError, match="with other things in it"):
        hurry()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b"]


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "out").symlink_to("there")
    export(tmp_path / "out")
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "there" / "part" / "a").read_text() == "new"


KILLED = """
import os, signal, sys
from pathlib import Path
from captioner.export.directory import atomic_directory
at, kill = int(sys.argv[2]), lambda: os.kill(os.getpid(), signal.SIGKILL)
rename, renamed = Path.rename, []
def dying(self, target):
    renamed.append(target)
    if len(renamed) == at:
        kill()
    return rename(self, target)
Path.rename = dying
with atomic_directory(Path(sys.argv[1])) as beside:
    (beside / "a").write_text("new")
    if not at:
        kill()
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no locks that end with a process")
@pytest.mark.parametrize(("at", "left"), [(0, "old"), (1, "old"), (2, "new")])
def test_the_next_export_puts_right_what_a_kill_has_left(tmp_path, at, left):
    with atomic_directory(tmp_path / "out") as beside:
        (beside / "a").write_text("old")
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "out", str(at)], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "out").exists() == (at < 2)
    atomic._swept.clear()  # as in another process
    write_text(tmp_path / "captions.csv", "which knows nothing of exports")
    (tmp_path / ".captioner-01234567-").mkdir()  # of a name too long
    export(tmp_path / "another")
    assert (tmp_path / "out" / "a").read_text() == left
    assert sorted(path.name for path in tmp_path.iterdir()) == ["another", "captions.csv", "out"]

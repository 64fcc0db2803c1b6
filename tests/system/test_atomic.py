import contextlib
import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from captioner.system import atomic
from captioner.system.atomic import atomic_write
from captioner.system.files import write_text

ROOT = Path(__file__).parents[2]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def old(tmp_path) -> Path:
    path = tmp_path / "file.txt"
    path.write_text("old", encoding="utf-8")
    return path


def test_a_new_file_is_whole_and_alone(tmp_path):
    path = tmp_path / "a" / "b" / "file.txt"
    with atomic_write(path) as temporary:
        temporary.write_text("new", encoding="utf-8")
        assert not path.exists()
        assert temporary.parent.parent == path.parent
    assert path.read_text(encoding="utf-8") == "new"
    assert names(path.parent) == ["file.txt"]


@pytest.mark.parametrize("name", ["model.weights.h5", "picture.png"])
def test_the_stand_in_ends_like_the_file(tmp_path, name):
    with atomic_write(tmp_path / name) as temporary:
        assert temporary.name.endswith(name)
        assert temporary.parent.name.startswith(".")


@pytest.mark.parametrize(
    "failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), ValueError()]
)
def test_a_failure_leaves_the_old_file_and_nothing_else(old, failure):
    def fail():
        with atomic_write(old) as temporary:
            temporary.write_text("half", encoding="utf-8")
            raise failure

    with pytest.raises(type(failure)):
        fail()
    assert old.read_text(encoding="utf-8") == "old"
    assert names(old.parent) == ["file.txt"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fails_at_the_end_leaves_the_old_file(old, monkeypatch, call):
    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(*{"fsync": (os, "fsync", fail), "replace": (Path, "replace", fail)}[call])
    with pytest.raises(OSError, match="Input/output error"):
        write_text(old, "new")
    assert old.read_text(encoding="utf-8") == "old"
    assert names(old.parent) == ["file.txt"]


def test_a_full_disk_is_told_with_the_name_of_what_was_to_be_written(old):
    with pytest.raises(OSError, match="No space") as caught, atomic_write(old):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(old)
    with pytest.raises(OSError, match="No space") as caught, atomic_write(old) as temporary:
        raise OSError(errno.ENOSPC, "No space left on device", str(temporary))
    assert caught.value.filename == str(old)
    with pytest.raises(BrokenPipeError) as caught, atomic_write(old):
        raise OSError(errno.EPIPE, "Broken pipe")
    assert caught.value.filename is None


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(old):
    with atomic_write(old) as temporary:
        temporary.write_text("new", encoding="utf-8")
        assert old.read_text(encoding="utf-8") == "old"
    assert old.read_text(encoding="utf-8") == "new"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_text(tmp_path / "file.txt", "text")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file.txt").stat().st_mode) == mode


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize("mode", [0o600, 0o400, 0o664, 0o755])
@pytest.mark.parametrize("named", [True, False])
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path, mode, named):
    old = tmp_path / "file.txt"
    old.touch()
    old.chmod(mode)
    write_text(old, "new", named)
    assert old.read_text() == "new"
    assert stat.S_IMODE(old.stat().st_mode) == mode
    with atomic_write(old, mode=0o100640) as temporary:
        temporary.touch()
    assert stat.S_IMODE(old.stat().st_mode) == 0o640


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_the_target_of_a_link_keeps_its_permissions_and_a_link_that_gives_way_has_none(tmp_path):
    (tmp_path / "secret.txt").touch(0o600)
    for link in ("named", "found"):
        (tmp_path / link).symlink_to("secret.txt")
        write_text(tmp_path / link, "new", named=link == "named")
    assert stat.S_IMODE((tmp_path / "secret.txt").stat().st_mode) == 0o600
    assert not (tmp_path / "found").is_symlink()
    assert stat.S_IMODE((tmp_path / "found").stat().st_mode) != 0o600


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize(("mode", "expected"), [(0o666, 0o644), (0o600, 0o600), (0o4777, 0o644)])
def test_the_file_of_another_user_grants_no_more_than_a_new_one(tmp_path, monkeypatch, mode, expected):
    monkeypatch.setattr(os, "geteuid", lambda: (tmp_path / "file.txt").lstat().st_uid + 1)
    (tmp_path / "file.txt").touch()
    (tmp_path / "file.txt").chmod(mode)
    before = os.umask(0o022)
    try:
        write_text(tmp_path / "file.txt", "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file.txt").stat().st_mode) == expected


def test_writers_side_by_side_leave_one_whole_file(tmp_path):
    path = tmp_path / "file.txt"
    texts = [str(number) * 100_000 for number in range(8)]
    threads = [threading.Thread(target=write_text, args=(path, text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text(encoding="utf-8") in texts
    assert names(tmp_path) == ["file.txt"]


def test_a_file_in_the_place_of_the_folder(old):
    with pytest.raises(OSError, match=r"file\.txt"):
        write_text(old / "inside.txt", "text")
    assert old.read_text(encoding="utf-8") == "old"


def test_nothing_stays_behind_when_a_block_removes_its_own_file(old):
    with contextlib.suppress(FileNotFoundError), atomic_write(old) as temporary:
        temporary.unlink()
    assert old.read_text(encoding="utf-8") == "old"
    assert names(old.parent) == ["file.txt"]


KILLED = """
import os, signal, sys
from captioner.system.atomic import atomic_write
with atomic_write(sys.argv[1]) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no locks that end with a process")
def test_what_a_killed_process_has_left_goes_and_what_a_living_one_writes_stays(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    killed = subprocess.run([sys.executable, "-c", KILLED, path], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2
    with atomic_write(tmp_path / "other.txt") as living:
        living.write_text("other")
        atomic._swept.clear()  # as in another process
        write_text(path, "new")
        assert sorted(tmp_path.iterdir()) == sorted([path, living.parent])
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file.txt", "other.txt"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no locks that end with a process")
def test_a_stand_in_that_is_swept_before_it_is_locked_is_made_again(old, monkeypatch):
    made = []

    def swept(**settings):
        made.append(Path(mkdtemp(**settings)))
        if len(made) == 1:
            atomic.sweep(old.parent)
        return str(made[-1])

    mkdtemp = atomic.tempfile.mkdtemp
    monkeypatch.setattr(atomic.tempfile, "mkdtemp", swept)
    write_text(old, "new")
    assert len(made) == 2
    assert old.read_text(encoding="utf-8") == "new"
    assert names(old.parent) == ["file.txt"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such links and pipes")
def test_a_link_stays_a_link_and_a_pipe_a_pipe(tmp_path, old):
    link = tmp_path / "there" / "link"
    link.parent.mkdir()
    link.symlink_to(old)
    write_text(link, "new", named=True)
    assert link.is_symlink()
    assert old.read_text(encoding="utf-8") == "new"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_text(tmp_path / "pipe", "said", named=True)
        assert os.read(reader, 10) == b"said"
    finally:
        os.close(reader)
    assert (tmp_path / "pipe").is_fifo()
    for each in (link, tmp_path / "pipe"):  # what nobody typed may be a stranger's trap
        write_text(each, "newer")
        assert not each.is_symlink()
        assert each.read_text(encoding="utf-8") == "newer"
    assert old.read_text(encoding="utf-8") == "new"
    assert names(tmp_path) == ["file.txt", "pipe", "there"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
@pytest.mark.parametrize("name", ["a" * 251 + ".txt", "강" * 83 + ".txt"])
def test_the_longest_names_can_be_written(tmp_path, name):
    write_text(tmp_path / name, "text")
    assert names(tmp_path) == [name]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
def test_what_goes_to_stdout_by_its_name_arrives():
    code = "from captioner.system.files import write_text; write_text('/dev/stdout', 'said', named=True)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert done.stdout == b"said"

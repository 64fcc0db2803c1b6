import os
import stat
import tempfile
from pathlib import Path

import pytest

from captioner.system import home as home_module
from captioner.system.home import cache_directory, home, is_private, known_home, settle

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="the system has no numbers of users")


@pytest.fixture
def homeless(tmp_path, monkeypatch):
    """The folder that is to stand for a home, where the system knows none."""

    def nobody():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nobody)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("HOME", raising=False)
    home_module._private_folder.cache_clear()
    yield tmp_path / f"captioner-{os.geteuid()}"
    home_module._private_folder.cache_clear()


def test_a_home_that_is_known_is_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home() == known_home() == tmp_path
    assert not is_private()


def test_a_folder_for_this_user_alone_stands_for_an_unknown_home(homeless):
    assert known_home() is None
    assert home() == homeless
    assert stat.S_IMODE(homeless.stat().st_mode) == 0o700
    assert is_private()


def test_a_folder_that_is_there_is_used_again(homeless):
    homeless.mkdir(0o700)
    (homeless / "kept").touch()
    assert (home() / "kept").exists()


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o755])
def test_a_folder_that_others_can_enter_is_not_used(homeless, mode):
    homeless.mkdir()
    homeless.chmod(mode)
    found = home()
    assert found != homeless
    assert stat.S_IMODE(found.stat().st_mode) == 0o700


def test_without_any_folder_there_is_a_name_all_the_same(homeless, monkeypatch):
    def nowhere():
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    monkeypatch.setattr(Path, "mkdir", lambda *given, **named: nowhere())
    assert home() == Path("/nonexistent", homeless.name)
    assert not homeless.exists()


def test_libraries_find_it_too(homeless, monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "")  # so that it is put back
    monkeypatch.setenv("USER", "")
    settle()
    assert os.environ["HOME"] == str(homeless)
    assert os.environ["USER"] == str(os.geteuid())


def test_the_cache_is_where_the_user_wants_it(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "captioner"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    assert cache_directory() == tmp_path / "home" / ".cache" / "captioner"

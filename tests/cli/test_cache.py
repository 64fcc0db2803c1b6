import gc
import io
import os
import subprocess
import sys

import numpy as np
import pytest

from captioner.cli.main import main
from captioner.data.store import FeatureStore
from captioner.system.cache import cache_entries

NAME = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A store of 5 rows, a network, and what others have put beside them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    root = tmp_path / "captioner"
    FeatureStore(root / "features" / NAME, (5, 2, 3), {"weights": "w", "feature_layer": "mixed8"}).write(
        range(5), np.ones((5, 2, 3))
    )
    gc.collect()
    (root / "litert").mkdir()
    (root / "litert" / f"encoder-{NAME}.zip").write_bytes(bytes(2_000_000))
    for other in ("litert/notes.txt", f"features/{NAME}/mine.txt", "features/mine.npy", "other/file"):
        (root / other).parent.mkdir(exist_ok=True)
        (root / other).write_text("not ours")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "features.npy").write_text("not ours")
    (root / "features" / NAME[::-1]).symlink_to(outside)
    return root


def files(root) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_it_lists_kind_size_last_use_and_origin(cache, capsys):
    os.utime(cache / "litert" / f"encoder-{NAME}.zip", (1_000_000_000, 1_000_000_000))
    assert main(["cache"]) == 0
    out, err = capsys.readouterr()
    first, second, total = (line.split() for line in out.splitlines())
    assert first == ["litert", "2.0", "MB", "2001-09-09", "encoder"]
    assert (second[0], second[4:]) == ("features", ["weights", "w,", "feature_layer", "mixed8"])
    assert total[:3] == ["total", "2.0", "MB"]
    assert err == ""


@pytest.mark.parametrize(("kind", "left"), [("features", {"litert"}), ("litert", {"features"}), (None, set())])
def test_it_removes_what_is_ours_alone(cache, capsys, kind, left):
    others = {name for name in files(cache) if (cache / name).read_bytes() == b"not ours"}
    assert len(others) >= 4
    assert main(["cache", "--clear", *filter(None, [kind]), "--yes"]) == 0
    assert {entry.kind for entry in cache_entries()} == left
    assert others <= files(cache)
    assert (cache.parent / "outside" / "features.npy").read_text() == "not ours"
    assert "captioner: removed" in capsys.readouterr().err


def test_what_a_running_process_fills_stays(cache, capsys):
    code = """
import pathlib, sys
from captioner.data.store import FeatureStore
store = FeatureStore(pathlib.Path(sys.argv[1]), (5, 2, 3), {})
print(flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", code, cache / "features" / NAME]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        running.stdout.readline()
        assert main(["cache", "--clear", "--yes"]) == 0
        assert (cache / "features" / NAME / "features.npy").is_file()
        assert "kept 1 entries that a running training fills" in capsys.readouterr().err
        running.communicate(b"")
    assert main(["cache", "--clear", "--yes"]) == 0
    assert cache_entries() == []


def test_who_cannot_be_asked_has_to_say_yes(cache, capsys, monkeypatch):
    before = files(cache)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert main(["cache", "--clear"]) == 2
    assert "add --yes" in capsys.readouterr().err
    assert main(["cache", "--yes"]) == 2
    assert files(cache) == before


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("n\n", 1), ("", 1)])
def test_it_asks_first(cache, monkeypatch, answer, status):
    class Terminal:
        isatty = staticmethod(lambda: True)
        readline = staticmethod(lambda: answer)

    monkeypatch.setattr("sys.stdin", Terminal())
    assert main(["cache", "--clear"]) == status
    assert bool(cache_entries()) == bool(status)


def test_an_empty_cache_is_no_failure(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert main(["cache"]) == 0
    assert capsys.readouterr().out.split()[:3] == ["total", "0.0", "MB"]
    assert main(["cache", "--clear", "--yes"]) == 0

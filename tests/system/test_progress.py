import io
import sys
import time

import pytest

from captioner.system import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def shown(monkeypatch):
    monkeypatch.setattr(progress, "_shown", True)


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only when they are told to."""
    now = [1000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    return now


def run(clock, seconds: float, **options) -> None:
    with progress.progress_bar(total=100, desc="features", unit="photo", **options) as bar:
        bar._time = lambda: clock[0]
        for _ in range(100):
            clock[0] += seconds / 100
            bar.update()


@pytest.mark.parametrize("leave", [False, True])
def test_a_log_file_gets_a_line_now_and_then(shown, clock, monkeypatch, leave):
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    run(clock, 130, leave=leave, delay=2)
    lines = file.getvalue().splitlines()
    assert [line.split()[2].split("/")[0] for line in lines[:4]] == ["24", "48", "72", "96"]
    assert len(lines) == 4 + leave
    assert all(line.startswith("features: ") and "\r" not in line for line in lines)


def test_a_log_file_gets_nothing_for_what_is_soon_done(shown, clock, monkeypatch):
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    run(clock, 20)
    assert file.getvalue() == ""


def test_a_terminal_gets_a_bar(shown, clock, monkeypatch):
    file = Terminal()
    monkeypatch.setattr(sys, "stderr", file)
    run(clock, 20, file=file)
    assert file.getvalue().count("\r") > 10
    assert "100/100" in file.getvalue()


def test_the_library_shows_nothing(clock, monkeypatch):
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    run(clock, 130)
    assert file.getvalue() == ""

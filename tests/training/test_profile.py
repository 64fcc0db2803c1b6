import time

import pytest

from captioner.training import profile as profile_module
from captioner.training.profile import Profile


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test turns."""

    class Clock:
        now = 0.0

        def work(self, seconds):
            self.now += seconds

    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", lambda: clock.now)
    assert profile_module.time is time
    return clock


def test_the_phases_of_each_epoch_and_what_is_left(clock, tmp_path):
    profile = Profile()
    with profile.phase("before any epoch"):
        clock.work(100)
    for seconds in (9, 1, 3, 2):
        with profile.epoch():
            clock.work(0.5)
            for _ in profile.waiting("wait", (clock.work(0.25) for _ in range(2))):
                with profile.phase("train"):
                    clock.work(seconds)
    assert profile.epochs[0] == {"wait": 0.5, "train": 18.0, "other": 0.5}
    profile.save(tmp_path / "profile.md")
    assert (tmp_path / "profile.md").read_text().splitlines()[2:] == [
        "| phase | first epoch, s | median of 3 others, s | share |",
        "|---|---|---|---|",
        "| train | 18.00 | 4.00 | 80.0% |",
        "| wait | 0.50 | 0.50 | 10.0% |",
        "| other | 0.50 | 0.50 | 10.0% |",
        "| all | 19.00 | 5.00 | |",
    ]


def test_one_epoch_and_none(clock, tmp_path):
    profile = Profile()
    assert profile.table() == "no epoch was run\n"
    (tmp_path / "profile.md").write_text("of the run before")
    profile.save(tmp_path / "profile.md")
    assert (tmp_path / "profile.md").read_text() == "of the run before"
    with profile.epoch(), profile.phase("train"):
        clock.work(2)
    assert "| train | 2.00 | 2.00 | 100.0% |" in profile.table()

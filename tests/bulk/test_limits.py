import sys

import pytest

pytest.importorskip("pyarrow", reason="no PyArrow here: pip install -r requirements-cluster.txt")

from captioner.bulk import memory
from captioner.bulk.limits import size


@pytest.mark.parametrize(
    ("count", "text"),
    [(7, "7 bytes"), (999_999, "999,999 bytes"), (200_000_000, "200 MB"), (3_000_000_000, "3,000 MB")],
)
def test_sizes_are_told_as_people_read_them(count, text):
    assert size(count) == text


class Resource:
    RUSAGE_SELF = 0

    def getrusage(self, who):
        return type("usage", (), {"ru_maxrss": 500})


@pytest.mark.parametrize(("platform", "held"), [("linux", 512_000), ("darwin", 500)])
def test_the_memory_held_is_in_bytes_on_every_system(monkeypatch, platform, held):
    monkeypatch.setattr(memory, "resource", Resource())
    monkeypatch.setattr(sys, "platform", platform)
    assert memory.peak_memory() == held


def test_a_system_that_tells_nothing_and_limits_nothing(monkeypatch):
    monkeypatch.setattr(memory, "resource", None)
    assert memory.peak_memory() == 0
    assert not memory.limit_memory(1)

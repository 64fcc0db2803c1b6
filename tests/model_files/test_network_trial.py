"""The trial of a stranger's network, on the shipped one and on what has been done to it."""

import os
import signal
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from captioner.errors import CaptionerError
from captioner.model_files import network_trial
from captioner.model_files.directory import NETWORK
from captioner.model_files.network_trial import refuse_harmful, remember
from captioner.model_files.shipped import shipped_model
from captioner.system.checksums import checksum


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "captioner" / "litert"


@pytest.fixture(scope="module")
def network():
    return (shipped_model("compact") / NETWORK).read_bytes()


@pytest.fixture
def no_trial(monkeypatch):
    monkeypatch.setattr(network_trial, "_tried", lambda network: pytest.fail("it needs no trial"))


@pytest.fixture
def python(tmp_path, monkeypatch):
    """Put a script in Python's place."""

    def put(script):
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(sys, "executable", str(path))

    return put


@pytest.mark.usefixtures("no_trial")
def test_what_is_shipped_or_made_here_needs_no_trial(network, cache):
    refuse_harmful(network, checksum(network), Path("model"))
    assert not cache.exists()
    remember("another")
    refuse_harmful(b"another", "another", Path("model"))


def test_a_good_network_is_tried_once(network, monkeypatch, cache):
    other = network + b"\0"  # behind its end
    refuse_harmful(other, checksum(other), Path("model"))
    assert [path.name for path in cache.iterdir()] == [f"tried-{checksum(other)}.json"]
    monkeypatch.setattr(network_trial, "_tried", lambda network: pytest.fail("it was tried"))
    refuse_harmful(other, checksum(other), Path("model"))


@pytest.mark.parametrize("content", [b"", b"no network", "half"])
def test_what_is_no_network_is_refused_and_not_remembered(network, cache, content):
    content = network[: len(network) // 2] if content == "half" else content
    with pytest.raises(CaptionerError, match=r"the encoder of model is no network that LiteRT can run \(.+\); copy"):
        refuse_harmful(content, checksum(content), Path("model"))
    assert not cache.exists()


@pytest.mark.skipif(os.name == "nt", reason="the script is a shell's")
@pytest.mark.parametrize("script", [f"kill -{signal.SIGSEGV} $$", "exit 3", "echo good; exit 1", "cat > /dev/null"])
def test_a_child_that_fails_is_a_refusal(python, script):
    python(script)
    with pytest.raises(CaptionerError, match="takes too much time or memory, or LiteRT fails over it"):
        refuse_harmful(b"network" * 100_000, "x", Path("model"))


@pytest.mark.skipif(os.name == "nt", reason="the script is a shell's")
def test_a_child_that_never_ends_is_killed(python, monkeypatch, tmp_path):
    monkeypatch.setattr(network_trial, "DEADLINE", 0.2)
    python(f"echo $$ > {tmp_path}/pid; exec sleep 1000")
    with pytest.raises(CaptionerError, match=r"LiteRT can run \(it takes more than 0 s\)"):
        refuse_harmful(b"network", "x", Path("model"))
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text() or 0) or sys.maxsize >> 40, 0)


def test_a_child_that_cannot_be_started_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    with pytest.raises(CaptionerError, match="the process that should try it cannot be started: No such file"):
        refuse_harmful(b"network", "x", Path("model"))


def test_a_network_that_takes_more_memory_than_it_may_is_refused(network, monkeypatch):
    monkeypatch.setattr(network_trial, "_bound", lambda size: None)  # of this process
    monkeypatch.setattr(network_trial, "MEMORY", -4 * len(network))
    assert network_trial._run(network) == "it takes too much memory"


def test_what_this_process_holds_does_not_count(network, cache):
    held = np.ones(1_500_000_000 // 8)
    other = network + b"\0\0"
    refuse_harmful(other, checksum(other), Path("model"))
    assert held.all()
    assert cache.exists()

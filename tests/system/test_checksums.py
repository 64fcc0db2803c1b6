import os
import time

import pytest

from captioner.system import checksums
from captioner.system.checksums import checksum, checksum_file, known_checksum


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The folder of the notes, which are kept of small files too, and at once."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(checksums, "SMALL", 0)
    monkeypatch.setattr(checksums, "SETTLED", -1)
    return tmp_path / "cache" / "captioner" / "litert"


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "weights.h5"
    path.write_bytes(b"some weights")
    return path


@pytest.fixture
def read(monkeypatch):
    """A list that grows with each file that is read."""
    found = []
    digest = checksums.hashlib.file_digest
    monkeypatch.setattr(checksums.hashlib, "file_digest", lambda *more: found.append(1) or digest(*more))
    return found


def test_of_a_file_it_is_that_of_its_content(weights):
    assert known_checksum(weights) == checksum_file(weights) == checksum(b"some weights")
    assert len(checksum(b"")) == 32


def test_a_file_is_read_once_and_again_when_it_has_changed(weights, read):
    first = known_checksum(weights)
    assert known_checksum(weights) == first
    assert len(read) == 1
    status = weights.stat()
    time.sleep(0.05)  # the clock of a file system ticks slowly
    weights.write_bytes(b"SOME WEIGHTS")  # as long, and made as old
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert known_checksum(weights) != first
    assert len(read) == 2


def test_another_file_under_the_same_name_is_read(weights, read, tmp_path):
    known_checksum(weights)
    status = weights.stat()
    (tmp_path / "other").write_bytes(b"SOME WEIGHTS")
    os.utime(tmp_path / "other", ns=(status.st_atime_ns, status.st_mtime_ns))
    (tmp_path / "other").replace(weights)
    assert known_checksum(weights) == checksum(b"SOME WEIGHTS")
    assert len(read) == 2


def test_what_has_just_been_written_is_not_noted(weights, read, cache, monkeypatch):
    monkeypatch.setattr(checksums, "SETTLED", 3600)
    for _ in range(2):
        known_checksum(weights)
    assert len(read) == 2
    assert not cache.exists()


def test_a_small_file_is_read_each_time(weights, read, cache, monkeypatch):
    monkeypatch.setattr(checksums, "SMALL", 13)
    for _ in range(2):
        known_checksum(weights)
    assert len(read) == 2
    assert not cache.exists()


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"seen": 1}'])
def test_a_damaged_note_is_written_again(weights, cache, note):
    first = known_checksum(weights)
    (path,) = cache.iterdir()
    path.write_text(note)
    assert known_checksum(weights) == first
    assert first in path.read_text()


def test_without_a_place_for_the_note_the_file_is_read(weights, tmp_path, monkeypatch):
    first = known_checksum(weights)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert known_checksum(weights) == first

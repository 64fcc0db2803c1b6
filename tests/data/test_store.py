import errno
import hashlib
import os
import signal
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest

from captioner.data import store as store_module
from captioner.data.store import FeatureStore, fingerprint
from captioner.errors import CaptionerError

SHAPE = (5, 2, 3)  # N, L, D
ABOUT = {"weights": "0123", "feature_layer": "mixed8"}


def rows_of(count: int, start: int = 1) -> np.ndarray:
    """Features (count, 2, 3) in which no number stands twice; float16 holds them exactly."""
    return np.arange(start, start + 6 * count, dtype=np.float32).reshape(count, *SHAPE[1:])


@pytest.fixture
def directory(tmp_path) -> Path:
    return tmp_path / "features" / "name"


@pytest.fixture
def full(directory) -> FeatureStore:
    store = FeatureStore(directory, SHAPE, ABOUT)
    store.write(range(5), rows_of(5))
    return store


def test_a_new_store_misses_every_row(directory):
    store = FeatureStore(directory, SHAPE, ABOUT)
    assert store.missing().tolist() == [0, 1, 2, 3, 4]
    assert store.shape == SHAPE
    assert store.dtype == np.float16
    assert sorted(path.name for path in directory.iterdir()) == ["about.json", "checksums.npy", "features.npy"]


def test_rows_are_there_at_once_and_when_opened_again(directory, full):
    np.testing.assert_array_equal(full[:], rows_of(5))
    assert full.missing().size == 0
    again = FeatureStore(directory, SHAPE, ABOUT)
    assert again.missing().size == 0
    np.testing.assert_array_equal(again[:], rows_of(5))
    np.testing.assert_array_equal(np.load(directory / "features.npy"), rows_of(5))


def test_a_store_goes_on_where_it_stopped(directory):
    FeatureStore(directory, SHAPE, ABOUT).write([3, 0], rows_of(2))
    store = FeatureStore(directory, SHAPE, ABOUT)
    assert store.missing().tolist() == [1, 2, 4]
    store.write(store.missing(), rows_of(3, start=100))
    store = FeatureStore(directory, SHAPE, ABOUT)
    assert store.missing().size == 0
    expected = np.concatenate([rows_of(2)[1:], rows_of(2, 100), rows_of(1), rows_of(1, 112)])
    np.testing.assert_array_equal(store[:], expected)


def test_a_row_of_zeros_counts_as_there(directory):
    FeatureStore(directory, SHAPE, ABOUT).write([1], np.zeros((1, 2, 3)))
    assert FeatureStore(directory, SHAPE, ABOUT).missing().tolist() == [0, 2, 3, 4]


def test_a_row_whose_checksum_is_zero_counts_as_there(directory):
    row = np.frombuffer(b"\x9d\x0a\xd9\x6d", np.float16).reshape(1, 2, 1)
    assert zlib.crc32(row) == 0
    FeatureStore(directory, (2, 2, 1), ABOUT).write([1], row)
    assert FeatureStore(directory, (2, 2, 1), ABOUT).missing().tolist() == [0]


def test_the_number_of_rows_must_fit(directory):
    with pytest.raises(ValueError, match="shorter"):
        FeatureStore(directory, SHAPE, ABOUT).write([1, 2], rows_of(1))


def flip(path: Path, place: int, bit: int = 0x10) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= bit
    path.write_bytes(content)


def assert_just_this_row_is_damaged(directory: Path, row: int) -> None:
    store = FeatureStore(directory, SHAPE, ABOUT)
    others = [number for number in range(5) if number != row]
    for _ in range(2):  # a damaged row never becomes a good one
        np.testing.assert_array_equal(store[others], rows_of(5)[others])
        with pytest.raises(CaptionerError, match=r"features.npy: 1 of 5 rows are damaged.*run the same command again"):
            store[[0, row]]
    again = FeatureStore(directory, SHAPE, ABOUT)
    assert again.missing().tolist() == [row]
    again.write([row], rows_of(5)[[row]])
    np.testing.assert_array_equal(again[:], rows_of(5))
    np.testing.assert_array_equal(FeatureStore(directory, SHAPE, ABOUT)[:], rows_of(5))


@pytest.mark.parametrize("row", [0, 2, 4])
@pytest.mark.parametrize("byte", [0, 5, 11])
def test_a_flipped_byte_costs_just_its_row(directory, full, row, byte):
    flip(directory / "features.npy", -(5 - row) * 12 + byte)
    assert_just_this_row_is_damaged(directory, row)


def test_a_flipped_byte_in_a_checksum_costs_just_its_row(directory, full):
    flip(directory / "checksums.npy", -4 * 2, 0x01)
    assert_just_this_row_is_damaged(directory, 3)


def test_all_damaged_rows_are_found_with_the_first(directory, full):
    for row in (1, 4):
        flip(directory / "features.npy", -(5 - row) * 12)
    with pytest.raises(CaptionerError, match="2 of 5 rows"):
        FeatureStore(directory, SHAPE, ABOUT)[4]
    assert FeatureStore(directory, SHAPE, ABOUT).missing().tolist() == [1, 4]


def test_a_row_is_compared_when_it_is_first_read(directory, full, monkeypatch):
    compared = []
    checksum = store_module._checksum
    monkeypatch.setattr(store_module, "_checksum", lambda row: compared.append(int(row.flat[0]) // 6) or checksum(row))
    store = FeatureStore(directory, SHAPE, ABOUT)
    assert compared == []
    picked = [
        store[2],
        store[[2, 0]],
        store[np.array([3, 3, 0]), np.array([1, 0, 1])],
        store[1:3, 0],
        store[np.array([True, False, False, False, True])],
    ]
    assert compared == [2, 0, 3, 1, 4]
    rows = rows_of(5)
    expected = [rows[2], rows[[2, 0]], rows[[3, 3, 0], [1, 0, 1]], rows[1:3, 0], rows[[0, 4]]]
    for found, wanted in zip(picked, expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(store[:], rows)
    assert len(compared) == 5


def test_a_row_that_another_process_has_made_anew_is_good(directory, full):
    store = FeatureStore(directory, SHAPE, ABOUT)
    FeatureStore(directory, SHAPE, ABOUT).write([1], rows_of(1, start=100))
    np.testing.assert_array_equal(store[1], rows_of(1, start=100)[0])


@pytest.mark.parametrize("name", ["features.npy", "checksums.npy"])
def test_no_damage_to_a_header_gives_wrong_features(directory, full, name):
    path = directory / name
    whole = (directory / "features.npy").read_bytes(), (directory / "checksums.npy").read_bytes()
    for place in range(0, 128, 2):
        (directory / "features.npy").write_bytes(whole[0])
        (directory / "checksums.npy").write_bytes(whole[1])
        content = bytearray(path.read_bytes())
        content[place] ^= (0x01, 0x02, 0x20)[place % 3]
        path.write_bytes(content)
        store = FeatureStore(directory, SHAPE, ABOUT)
        assert store.shape == SHAPE
        np.testing.assert_array_equal(store[store.present], rows_of(5)[store.present])


@pytest.mark.parametrize("name", ["features.npy", "checksums.npy"])
@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"no array", b"PK\x03\x04 no archive"])
def test_what_is_no_array_is_made_anew(directory, full, name, content):
    (directory / name).write_bytes(content)
    store = FeatureStore(directory, SHAPE, ABOUT)
    assert store.missing().tolist() == [0, 1, 2, 3, 4]
    store.write([2], rows_of(1))
    assert FeatureStore(directory, SHAPE, ABOUT).missing().tolist() == [0, 1, 3, 4]


def test_a_file_that_was_cut_is_made_anew(directory, full):
    os.truncate(directory / "features.npy", (directory / "features.npy").stat().st_size - 1)
    assert FeatureStore(directory, SHAPE, ABOUT).missing().tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("shape", [(6, 2, 3), (5, 3, 2), (5, 2, 4), (1, 10, 3)])
def test_another_shape_is_made_anew(directory, full, shape):
    store = FeatureStore(directory, shape, ABOUT)
    assert store.shape == shape
    assert store.missing().tolist() == list(range(shape[0]))


def test_no_photos_need_no_room(directory):
    assert FeatureStore(directory, (0, 2, 3), ABOUT).missing().size == 0
    assert FeatureStore(directory, (0, 2, 3), ABOUT).shape == (0, 2, 3)


@pytest.mark.needs("os.posix_fallocate")
def test_the_room_is_taken_before_the_work(directory):
    FeatureStore(directory, (100, 64, 128), ABOUT)
    assert (directory / "features.npy").stat().st_blocks * 512 >= 2 * 100 * 64 * 128


@pytest.mark.needs("os.posix_fallocate")
def test_a_disk_without_room_says_how_much_is_needed(directory, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(CaptionerError, match=r"the disk is full; make room \(512 MiB in all\), or set XDG_CACHE_HOME"):
        FeatureStore(directory, (4096, 512, 128), ABOUT)
    assert [path.name for path in directory.iterdir()] == ["about.json"]


def test_a_disk_that_fills_up_keeps_the_rows_before(directory):
    """A limit on the size of files stands for the full disk: a write beyond it fails in the same way."""
    code = """
import sys, resource, pathlib
import numpy as np
from captioner.data.store import FeatureStore
from captioner.errors import CaptionerError
store = FeatureStore(pathlib.Path(sys.argv[1]), (5, 2, 3), {})
resource.setrlimit(resource.RLIMIT_FSIZE, (store._features.stat().st_size - 2 * 12,) * 2)
try:
    store.write(range(5), np.arange(1, 31).reshape(5, 2, 3))
except CaptionerError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code, directory], capture_output=True, text=True, check=True)
    assert (
        f"cannot write to {directory}: no file may become so large here (see ulimit -f); raise the limit" in done.stdout
    )
    store = FeatureStore(directory, SHAPE, ABOUT)
    assert store.missing().tolist() == [3, 4]
    np.testing.assert_array_equal(store[:3], rows_of(3))


def test_a_killed_run_costs_only_the_row_in_hand(directory):
    code = """
import sys, pathlib
import numpy as np
from captioner.data.store import FeatureStore
store = FeatureStore(pathlib.Path(sys.argv[1]), (200, 2, 3), {})
for row in range(200):
    store.write([row], np.full((1, 2, 3), row))
    print(row, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code, directory], stdout=subprocess.PIPE, text=True) as running:
        for line in running.stdout:
            if int(line) == 20:
                running.send_signal(signal.SIGKILL)
                break
    store = FeatureStore(directory, (200, 2, 3), ABOUT)
    there = np.flatnonzero(store.present)
    assert there.tolist() == list(range(len(there)))
    assert len(there) >= 21
    np.testing.assert_array_equal(store[: len(there), 0, 0], there)


def test_two_runs_that_begin_at_once_fill_one_file(directory, monkeypatch):
    """The second run finds no file, and would make its own once the first has mapped one and filled rows of it."""
    first_begins, second_has_looked, first_has_written = threading.Event(), threading.Event(), threading.Event()
    allocate, usable = store_module._allocate, FeatureStore._usable
    stores: dict[str, FeatureStore] = {}

    def allocate_in_turn(*arguments):
        first_begins.set()
        in_turn = first_has_written if threading.current_thread().name == "second" else second_has_looked
        assert in_turn.wait(60)
        allocate(*arguments)

    def look(store, shape):
        found = usable(store, shape)
        if threading.current_thread().name == "second":
            second_has_looked.set()
        return found

    def run():
        stores[threading.current_thread().name] = FeatureStore(directory, SHAPE, ABOUT)

    monkeypatch.setattr(store_module, "_allocate", allocate_in_turn)
    monkeypatch.setattr(FeatureStore, "_usable", look)
    first, second = (threading.Thread(target=run, name=name) for name in ("first", "second"))
    first.start()
    assert first_begins.wait(60)
    second.start()
    first.join()
    stores["first"].write([0, 1], rows_of(2))
    first_has_written.set()
    second.join()
    stores["first"].write([2], rows_of(1, start=100))
    stores["second"].write([3, 4], rows_of(2, start=200))

    expected = np.concatenate([rows_of(2), rows_of(1, 100), rows_of(2, 200)])
    for store in (stores["first"], stores["second"], FeatureStore(directory, SHAPE, ABOUT)):
        np.testing.assert_array_equal(store[:], expected)
    assert FeatureStore(directory, SHAPE, ABOUT).missing().size == 0


def test_a_place_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CaptionerError, match=r"cannot write to .*file.*; allow writing there .* or set XDG_CACHE_HOME"):
        FeatureStore(tmp_path / "file" / "store", SHAPE, ABOUT)


@pytest.fixture
def photos(make_files) -> list[Path]:
    root = make_files({"a.jpg": b"one", "b.jpg": b"two", "c.jpg": b"three"})
    return sorted(root.iterdir())


def test_the_fingerprint_knows_content_order_and_parts(photos):
    seen = {
        fingerprint(photos, "weights", "layer"),
        fingerprint(photos[::-1], "weights", "layer"),
        fingerprint(photos[:2], "weights", "layer"),
        fingerprint(photos, "weights", "another"),
        fingerprint(photos, "layer", "weights"),
        fingerprint(photos, "weights"),
        fingerprint(photos, "weightslayer"),
    }
    before = fingerprint(photos, "weights", "layer")
    photos[1].write_bytes(b"twO")
    seen.add(fingerprint(photos, "weights", "layer"))
    assert len(seen) == 8
    assert before in seen
    assert all(len(each) == 32 and set(each) <= set("0123456789abcdef") for each in seen)


def test_the_fingerprint_knows_where_one_photo_ends(make_files):
    one = sorted(make_files({"a.jpg": b"12", "b.jpg": b"3"}).iterdir())
    before = fingerprint(one)
    other = sorted(make_files({"a.jpg": b"1", "b.jpg": b"23"}).iterdir())
    assert fingerprint(other) != before


def test_the_fingerprint_does_not_know_the_folder(photos, tmp_path):
    moved = tmp_path / "moved"
    before = fingerprint(photos, "weights")
    photos[0].parent.rename(moved)
    assert fingerprint(sorted(moved.iterdir()), "weights") == before


def test_a_photo_that_cannot_be_read_counts_by_its_name(photos, tmp_path):
    first, second = tmp_path / "gone.jpg", tmp_path / "lost.jpg"
    assert fingerprint([first]) == fingerprint([first])
    assert len({fingerprint([first]), fingerprint([second]), fingerprint([*photos, first]), fingerprint(photos)}) == 4


@pytest.mark.needs("os.mkfifo")
def test_a_photo_that_is_a_pipe_a_device_or_a_huge_file_counts_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "MAX_HELD", 100)
    plain, pipe, device, huge = (tmp_path / name for name in ("plain", "pipe", "device", "huge"))
    plain.write_bytes(b"x" * 100)
    os.mkfifo(pipe)
    device.symlink_to("/dev/zero")
    huge.write_bytes(b"x" * 101)
    digest = lambda content: hashlib.blake2b(content, digest_size=16).digest()  # noqa: E731
    whole = hashlib.blake2b(digest_size=16)
    whole.update(digest(b"x" * 100) + b"".join(digest(str(each).encode()) for each in (pipe, device, huge)))
    assert fingerprint([plain, pipe, device, huge]) == whole.hexdigest()

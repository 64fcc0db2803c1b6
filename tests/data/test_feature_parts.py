import os
from pathlib import Path

import numpy as np
import pytest

from captioner.data.feature_parts import FeatureParts
from captioner.errors import CaptionerError


def filled(number: float, shape: tuple[int, ...] = (2, 3)) -> np.ndarray:
    return np.full(shape, number, np.float16)


@pytest.fixture
def directory(write_part, tmp_path) -> Path:
    write_part(tmp_path / "parts", {"a/1.jpg": filled(1), "a/2.jpg": "the file is empty", "a/3.jpg": filled(3)})
    write_part(tmp_path / "parts", {"b/4.jpg": filled(4), "b/1.jpg": filled(5)}, number=1)
    return tmp_path / "parts"


def test_rows_are_picked_in_any_order_and_as_often_as_asked(directory):
    parts = FeatureParts(directory)
    assert parts.shape == (4, 2, 3)
    found = parts[np.array([3, 0, 2, 0, 1])]
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found[:, 0, 0], [5, 1, 4, 1, 3])
    assert (found == found[:, :1, :1]).all()
    assert parts[np.array([], int)].shape == (0, 2, 3)


def test_photos_are_found_by_their_paths_and_else_by_their_names(directory):
    parts = FeatureParts(directory)
    rows, bad = parts.find([Path("b/1.jpg"), Path("a/2.jpg"), Path("a/9.jpg"), Path("a/1.jpg"), Path("c/4.jpg")])
    assert [rows[place] for place in (0, 3)] == [3, 0]
    assert bad == {
        1: "a/2.jpg: the file is empty",
        2: f"a/9.jpg: no features in {directory}",
        4: f"c/4.jpg: no features in {directory}, only those of another 4.jpg",
    }
    rows, bad = parts.find([Path("elsewhere/4.jpg"), Path("elsewhere/2.jpg"), Path("elsewhere/9.jpg")])
    assert rows[0] == 2
    assert bad == {1: "elsewhere/2.jpg: the file is empty", 2: f"elsewhere/9.jpg: no features in {directory}"}


def test_a_photo_with_an_error_is_no_other_of_that_name(write_part, tmp_path):
    write_part(tmp_path / "parts", {"a/1.jpg": "the file is empty", "b/1.jpg": filled(1)})
    rows, bad = FeatureParts(tmp_path / "parts").find([Path("a/1.jpg"), Path("b/1.jpg")])
    assert (rows[1], bad) == (0, {0: "a/1.jpg: the file is empty"})


def test_a_name_may_have_whatever_ends_a_line_elsewhere(write_part, tmp_path):
    names = ["a\u2028b.jpg", "a\x85b.jpg", "a\nb.jpg"]
    write_part(tmp_path / "parts", {name: filled(number) for number, name in enumerate(names)})
    rows, bad = FeatureParts(tmp_path / "parts").find([Path(name) for name in names])
    assert (rows, bad) == ([0, 1, 2], {})


def test_a_name_that_several_photos_have_is_refused(directory):
    with pytest.raises(CaptionerError, match=r"has 2 photos called 1\.jpg, and none with the path elsewhere/1\.jpg"):
        FeatureParts(directory).find([Path("elsewhere/1.jpg")])


@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_a_damaged_row_is_told(directory, damage):
    numbers = directory / "part-00000000-0123456789abcdef.float16"
    content = bytearray(numbers.read_bytes())
    content[-1] ^= 1
    numbers.write_bytes(content if damage == "flip" else content[:-1])
    if damage == "gone":
        numbers.unlink()
    parts = FeatureParts(directory)
    np.testing.assert_array_equal(parts[[2]][0, 0, 0], 4)
    with pytest.raises(
        CaptionerError, match="cannot read features" if damage == "gone" else r"is damaged; delete part-"
    ):
        parts[[1]]


def test_damaged_lines_and_other_folders_are_told(directory, tmp_path):
    (directory / "part-00000001-0123456789abcdef.jsonl").write_text('{"path": "b/4.jpg"\n')
    with pytest.raises(CaptionerError, match=r"part-00000001-0123456789abcdef\.jsonl is damaged"):
        FeatureParts(directory)
    (directory / "_captioner.json").write_text('{"format": "parquet"}')
    with pytest.raises(CaptionerError, match="holds no features; expected what `captioner bulk --features` wrote"):
        FeatureParts(directory)
    with pytest.raises(CaptionerError, match="cannot read the description of the features"):
        FeatureParts(tmp_path)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_stays_flat_however_many_rows_are_read(write_part, tmp_path):
    """Eight parts of 20 MB are read twice, in any order, and the process holds no more than before."""
    for number in range(8):
        photos = {f"{number}-{photo}.jpg": filled(photo, (64, 1280)) for photo in range(128)}
        write_part(tmp_path / "parts", photos, number)
    parts = FeatureParts(tmp_path / "parts")
    order = np.random.default_rng(0).permutation(np.repeat(np.arange(1024), 2))

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    parts[order[:32]]
    before = resident()
    for at in range(0, len(order), 32):
        parts[order[at : at + 32]]
    assert resident() - before < 30e6

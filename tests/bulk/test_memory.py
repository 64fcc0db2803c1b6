"""What small files of strangers take: less than a gigabyte, in any process, and the rest goes on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="no PyArrow here: pip install -r requirements-cluster.txt")
if sys.platform != "linux":
    pytest.skip("memory is told and limited otherwise", allow_module_level=True)

import runpy

HERE = Path(__file__).parent
HOSTILE = runpy.run_path(str(HERE / "hostile.py"))

TOO_LARGE = "the photo is larger than 200 MB"
NO_END = "the shard cannot be read to its end"
LONG_HEADER = "the shard has a header that is too long"
NO_IMAGE = "not an image that can be read"
NO_GROUP = "the shard cannot be read from here to the end of its row group"

QUICK = {
    "a sparse member of 3 GB": (2, {TOO_LARGE: 1}),
    "a sparse map of 500 MB": (2, {NO_END: 1}),
    "a dictionary of 2 GB to unpack with": (1, {NO_END: 1}),
}
LONG = {
    "a member of 3 GB": (3, {TOO_LARGE: 1}),
    "a long name of 3 GB": (3, {LONG_HEADER: 1}),
    "an extended header of 3 GB": (3, {LONG_HEADER: 1}),
    "photos of 200 MB": (9, {NO_IMAGE: 8}),
    "300,000 members": (1, {}),
    "100,000 empty photos": (100_000, {"the file is empty": 100_000}),
    "global headers of 1.3 GB": (1, {}),
    "a value of 40 MB, 32 times": (33, {NO_IMAGE: 32}),
    "a record with 40 MB, 32 times": (32, {NO_IMAGE: 32}),
    "a page of 1.6 GB": (2, {NO_GROUP: 1}),
    "200,000 rows without photos": (200_000, {"there are no bytes": 200_000}),
}
LISTED = {
    "a path of 40 MB, 32 times": ([], "it takes more than 800 MB to read"),
    "20,000 row groups of 51 columns": ([], "MB, expected up to 32 MB; write it with"),
    "a line of 3 GB": (["a.png", "b.png"], "line 2 is longer than 32,768 bytes"),
}


def read(name: str, folder: Path) -> dict:
    path = HOSTILE["make"](name, folder)
    found = subprocess.run(
        [sys.executable, str(HERE / "peak.py"), str(path), str(folder / "out")], capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in LONG)])
def test_a_shard_that_asks_for_much_takes_little(name, tmp_path):
    found = read(name, tmp_path)
    assert (found["photos"], found["errors"]) == {**QUICK, **LONG}[name]
    assert found["complaints"] == []
    assert found["megabytes"] < 1000


@pytest.mark.slow
@pytest.mark.parametrize("name", LISTED)
def test_a_list_that_asks_for_much_takes_little(name, tmp_path):
    found = read(name, tmp_path)
    names, complaint = LISTED[name]
    assert found["names"] == names
    (told,) = found["complaints"]
    assert complaint in told
    assert found["megabytes"] < 1000

"""A disk that is full at any file, and directories that cannot be written: a message, nothing half-written, and on."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.soak.test_kills import CAPTIONS, CHARACTERS, FOLDER, assert_same_captions, numbers, prepare, tree

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no limits of this kind")

TRAINED = (".h5", ".npz", "vocabulary.json", "captions.json", ".txt")


@pytest.mark.parametrize(
    ("commands", "options", "limits"),
    [
        pytest.param(CAPTIONS, ["--tensorflow"], 14, id="captions", marks=pytest.mark.slow),
        pytest.param(CHARACTERS, ["--tensorflow"], 10, id="characters", marks=pytest.mark.slow),
        pytest.param(FOLDER, [], 12, id="folder", marks=pytest.mark.slow),
        pytest.param(FOLDER, [], 2, id="folder, a sample"),
    ],
)
def test_no_file_may_grow_past_a_limit(forks, mirror, tmp_path, commands, options, limits):
    fork = forks(*options)

    def run(folder: Path, **job: object) -> dict:
        places = {"XDG_CACHE_HOME": str(folder / "cache"), "KERAS_HOME": str(folder / "keras"), "TMPDIR": str(tmp_path)}
        return fork(folder, *commands, env={**mirror, **places}, **job)

    unhurt = prepare(tmp_path / "unhurt")
    assert run(unhurt)["status"] == 0
    sizes = sorted({path.stat().st_size for path in unhurt.rglob("*") if path.is_file()} - {0})
    picked = sorted({sizes[round(at)] - 1 for at in np.linspace(0, len(sizes) - 1, limits)})
    folder = prepare(tmp_path / "full")
    refused = 0
    for limit in picked:
        ended = run(folder, limit=max(limit, 16))
        assert ended["status"] in (0, 1), ended["said"]
        if ended["status"]:
            refused += 1
            last = ended["said"].strip().splitlines()[-1]
            assert "captioner: " in last, ended["said"]
    assert refused
    ended = run(folder)
    assert ended["status"] == 0, ended["said"]
    assert tree(folder) == tree(unhurt)
    for name in tree(unhurt):
        if name.endswith(TRAINED) and not name.startswith(("cache", "weights")):
            if name.endswith((".h5", ".npz")):
                for each, values in numbers(unhurt / name).items():
                    np.testing.assert_array_equal(numbers(folder / name)[each], values)
            elif name.endswith("captions.json"):
                assert_same_captions(folder / name, unhurt / name)
            else:
                assert (folder / name).read_bytes() == (unhurt / name).read_bytes()
    print(f"{refused} of {len(picked)} limits were refused, from {picked[0]} to {picked[-1]} bytes")


@pytest.fixture
def unwritable(tmp_path) -> Path:
    """A directory in which nobody may write, not even root."""
    if os.geteuid():
        folder = tmp_path / "closed"
        folder.mkdir(mode=0o500)
        return folder
    if not Path("/sys/kernel").is_dir():
        pytest.skip("there is no directory in which root may not write")
    return Path("/sys/kernel")


def test_where_nothing_can_be_written_a_folder_of_photos_says_so(forks, tmp_path, unwritable):
    fork, folder = forks(), prepare(tmp_path / "here")
    for output in ("captions.json", "inner/captions.json"):
        command = ["predict", "photos", *FOLDER[0][2:4], "--format", "json", "--output", unwritable / output]
        ended = fork(folder, command, env={"XDG_CACHE_HOME": str(unwritable)})
        assert (ended["status"], ended["out"]) == (1, "")
        assert f"captioner: {unwritable}" in ended["said"]
    ended = fork(folder, ["predict", "photos", *FOLDER[0][2:4]], env={"XDG_CACHE_HOME": str(unwritable)})
    assert ended["status"] == 0  # it writes nowhere
    assert len(ended["out"].splitlines()) == 12


@pytest.mark.slow
@pytest.mark.parametrize("what", ["data", "cache", "output", "export"])
def test_where_a_training_cannot_write_it_says_so_and_goes_on_elsewhere(forks, mirror, tmp_path, unwritable, what):
    folder = prepare(tmp_path / "here")
    fork = forks("--tensorflow")
    places = {"XDG_CACHE_HOME": str(folder / "cache"), "KERAS_HOME": str(folder / "keras"), **mirror}
    train, export = (list(command) for command in CAPTIONS)
    closed = dict(places)
    if what == "data":
        (folder / "datasets").symlink_to(unwritable)
    elif what == "cache":
        closed["XDG_CACHE_HOME"] = str(unwritable)
    elif what == "output":
        train[-1] = unwritable / "model"
    else:
        export[export.index("ready")] = unwritable / "ready"
    ended = fork(folder, train, export, env=closed)
    assert ended["status"] == 1, ended["said"]
    assert "captioner: " in ended["said"].strip().splitlines()[-1]
    if what == "data":
        (folder / "datasets").unlink()
    elif what == "output":
        shutil.rmtree(folder / "model", ignore_errors=True)
    assert fork(folder, *CAPTIONS, env=places)["status"] == 0

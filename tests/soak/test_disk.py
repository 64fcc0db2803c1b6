"""A disk that is full at any file, and directories that cannot be written: a message, nothing half-written, and on."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.soak.test_kills import CAPTIONS, CHARACTERS, FOLDER, STAGES, assert_same_outcome, places, prepare

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no limits of this kind")

PAGE = 4096


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
        return fork(folder, *commands, env={**mirror, **places(folder, tmp_path)}, **job)

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
    assert_same_outcome(folder, unhurt)
    print(f"{refused} of {len(picked)} limits were refused, from {picked[0]} to {picked[-1]} bytes")


@pytest.fixture
def disk(tmp_path) -> Iterator[Callable[[int], Path]]:
    """A function that makes a disk of so many bytes, or lets it grow to them, and tells where it is."""
    place = tmp_path / "disk"
    place.mkdir()

    def sized(size: int) -> Path:
        options = f"size={size},remount" if place.is_mount() else f"size={size}"
        mount = ["mount", "-t", "tmpfs", "-o", options, "captioner", str(place)]
        if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("a small disk needs the right to mount one")
        return place

    yield sized
    if place.is_mount():
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize(
    ("commands", "options", "named"),
    [
        pytest.param(CAPTIONS, ["--tensorflow"], 8, id="captions", marks=pytest.mark.slow),
        pytest.param(STAGES, ["--tensorflow"], 8, id="fine-tuned, self-critical", marks=pytest.mark.slow),
        pytest.param(CHARACTERS, ["--tensorflow"], 3, id="characters", marks=pytest.mark.slow),
        pytest.param(FOLDER, [], 2, id="folder"),
    ],
)
def test_a_disk_that_is_full_until_it_grows(forks, mirror, disk, tmp_path, commands, options, named):
    fork = forks(*options)
    unhurt = prepare(tmp_path / "unhurt")
    before = sum(-(-path.stat().st_size // PAGE) * PAGE for path in unhurt.rglob("*") if path.is_file())
    assert fork(unhurt, *commands, env={**mirror, **places(unhurt, tmp_path)})["status"] == 0
    size = before + PAGE
    folder = prepare(disk(size) / "here")
    told, step = [], PAGE
    while (ended := fork(folder, *commands, env={**mirror, **places(folder, disk(size))}))["status"]:
        assert ended["status"] == 1, ended["said"]
        told.append(ended["said"].strip().splitlines()[-1])
        assert re.search(r"captioner: \S.*: the disk is full; make room", told[-1]), ended["said"]
        step = 2 * step if told[-2:-1] == told[-1:] else 2 * PAGE  # a large file is not waited for page by page
        size += step
    for each in (folder, unhurt):  # what is kept to be quicker the next time may find no room
        shutil.rmtree(each / "cache", ignore_errors=True)
    assert_same_outcome(folder, unhurt)
    assert len(set(told)) >= named
    print(f"full {len(told)} times, until it had {size} bytes, at", *sorted(set(told)), sep="\n")


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
    usual = {**mirror, **places(folder, tmp_path)}
    train, export = (list(command) for command in CAPTIONS)
    closed = dict(usual)
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
    assert fork(folder, *CAPTIONS, env=usual)["status"] == 0

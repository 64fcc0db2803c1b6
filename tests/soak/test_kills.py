"""A process that is killed at any moment loses nothing: the same command ends with what an unhurt one ends with."""

import json
import os
import random
import signal
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no fork")

COMPACT = Path(__file__).parents[2] / "saved_models" / "compact"
SIZES = (
    *("--hidden-size", "8", "--embedding-dim", "6", "--batch-size", "4", "--seed", "3", "--precision", "float32"),
    *("--dropout", "0.2", "--epochs", "3"),
)
CAPTION_SIZES = (
    *("--attention-dim", "5", "--min-count", "1", "--max-length", "5"),
    *("--image-size", "150"),  # at 299 the encoder would be read from InceptionV3's weights
)
CAPTIONS = [
    ["train", *SIZES, *CAPTION_SIZES, "--output", "model"],
    ["export", "--model", "model", "--format", "litert", "--output", "ready", "--encoder-weights", "weights.h5"],
]
LATER = ("--fine-tune-epochs", "2", "--fine-tune-views", "2", "--self-critical-epochs", "2")
STAGES = [[*CAPTIONS[0], "--epochs", "1", *LATER], CAPTIONS[1]]
CHARACTERS = [
    ["train", "--task", "char-lm", "--text", "text.txt", *SIZES, "--sequence-length", "8", "--output", "model"]
]
FOLDER = [["predict", "photos", "--model", COMPACT, "--format", "json", "--output", "captions.json", "--sidecar"]]


def numbers(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a weights file by name."""
    if path.suffix == ".npz":
        with np.load(path) as file:
            return dict(file)
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, each: found.update({name: each[()]}) if isinstance(each, h5py.Dataset) else None)
    return found


def tree(folder: Path) -> list[str]:
    """All that lies in a folder, but for notes whose names tell of times, inodes and how many layers a process has had.

    The converter names operations after Keras's layers, which count on, so equal networks have other checksums.
    """
    notes = ("note-", "tried-")
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.name.startswith(notes))


def assert_same_captions(ours: Path, theirs: Path) -> None:
    """Compare lines of JSON; scores to 1e-5, since photos that are captioned together are rounded together."""
    for line, other in zip(*(path.read_text().splitlines() for path in (ours, theirs)), strict=True):
        found, expected = json.loads(line), json.loads(other)
        assert found["image"] == expected["image"]
        for each, same in zip(found["candidates"], expected["candidates"], strict=True):
            rounded = {name: pytest.approx(same[name], abs=1e-5) for name in ("score", "confidence")}
            assert each == {**same, **rounded}


def assert_same_outcome(folder: Path, unhurt: Path) -> None:
    """Compare all files' names, and what was trained or captioned: numbers bit for bit."""
    names = tree(unhurt)
    assert tree(folder) == names
    for name in names:
        if name.startswith(("cache", "weights")):
            continue
        if name.endswith((".h5", ".npz")):
            ours, theirs = numbers(folder / name), numbers(unhurt / name)
            assert ours.keys() == theirs.keys()
            for each, values in theirs.items():
                np.testing.assert_array_equal(ours[each], values, err_msg=f"{name}: {each}")
        elif name.endswith("captions.json"):
            assert_same_captions(folder / name, unhurt / name)
        elif name.endswith((".txt", "vocabulary.json")):
            assert (folder / name).read_bytes() == (unhurt / name).read_bytes()


def places(folder: Path, temporary: Path) -> dict[str, str]:
    """An environment that keeps a command's caches in a folder."""
    return {"XDG_CACHE_HOME": str(folder / "cache"), "KERAS_HOME": str(folder / "keras"), "TMPDIR": str(temporary)}


def prepare(folder: Path) -> Path:
    """Make what the commands read that is not downloaded."""
    (folder / "photos" / "inner").mkdir(parents=True)
    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 256, (6, 8, 3)).astype(np.uint8)
        path = folder / "photos" / ("inner" if number % 3 else "") / f"{number}.png"
        Image.fromarray(pixels).resize((80, 60)).save(path)
    (folder / "text.txt").write_text("the quick brown fox jumps over the lazy dog. " * 20)
    (folder / "weights.h5").write_bytes(b"not read, since the encoder is another one")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("commands", [CAPTIONS[:1], STAGES[:1], CHARACTERS], ids=["captions", "stages", "characters"])
def test_a_seed_makes_a_training(forks, mirror, tmp_path, commands):
    trained = []
    for name, seed in (("one", 3), ("two", 3), ("other", 4)):
        folder = prepare(tmp_path / name)
        command = [str(seed) if before == "--seed" else each for before, each in pairwise(["", *commands[0]])]
        ended = forks("--tensorflow")(folder, command, env={**mirror, "XDG_CACHE_HOME": str(folder / "cache")})
        assert ended["status"] == 0, ended["said"]
        files = sorted(path for path in (folder / "model").iterdir() if path.suffix in (".h5", ".npz"))
        trained.append({f"{path.name}: {name}": each for path in files for name, each in numbers(path).items()})
    one, two, other = trained
    assert all((one[name] == two[name]).all() for name in one)
    assert any((one[name] != other[name]).any() for name in one)


@pytest.mark.parametrize(
    ("commands", "options", "kills", "seed"),
    [
        pytest.param(CAPTIONS, ["--tensorflow"], 50, 1, id="captions", marks=pytest.mark.slow),
        pytest.param(STAGES, ["--tensorflow"], 50, 5, id="fine-tuned, self-critical", marks=pytest.mark.slow),
        pytest.param(CHARACTERS, ["--tensorflow"], 50, 2, id="characters", marks=pytest.mark.slow),
        pytest.param(FOLDER, [], 50, 3, id="folder", marks=pytest.mark.slow),
        pytest.param(FOLDER, [], 3, 4, id="folder, a sample"),
    ],
)
def test_killed_anywhere_the_same_command_ends_as_if_nothing_had_been(
    forks, mirror, tmp_path, commands, options, kills, seed
):
    fork = forks(*options)

    def run(folder: Path, **job: object) -> dict:
        return fork(folder, *commands, env={**mirror, **places(folder, tmp_path)}, **job)

    unhurt = prepare(tmp_path / "unhurt")
    first = run(unhurt)
    assert first["status"] == 0, first["said"]
    draw = random.Random(seed)
    done = attempts = 0
    while done < kills:
        folder = prepare(tmp_path / f"hurt-{attempts}")
        attempts += 1
        while True:
            # Towards the end a run that goes on is killed less often, so that it gets there.
            moment = None
            if done < kills and draw.random() < 0.85:
                by_operation = draw.random() < 0.7
                moment = {"kill_at": draw.randint(1, first["operations"])} if by_operation else None
                moment = moment or {"kill_after": draw.uniform(0.05, 1) * first["seconds"]}
            ended = run(folder, **(moment or {}))
            if ended["status"] == -signal.SIGKILL:
                done += 1
                continue
            assert ended["status"] == 0, (moment, ended["said"])
            break
        assert run(folder)["status"] == 0
        assert_same_outcome(folder, unhurt)
    print(
        f"{done} kills in {attempts} runs, of {first['operations']} file operations and {first['seconds']:.1f} s each"
    )

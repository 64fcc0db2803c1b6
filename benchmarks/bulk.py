"""Captions on a cluster: is every photo there once when a machine is lost, and what does a photo cost?

    python benchmarks/bulk.py [--photos 3000] [--only loss cost] [--folder DIR] [--model DIR]

loss: a Ray cluster of two nodes on this machine, a core each. `captioner bulk` captions the photos; half-way the second
    node is killed. Then every photo must be in the output once, with the caption that `predict.py photos/` gives it.
cost: `captioner bulk` on all cores of this machine, against `predict.py photos/`, both as whole processes and in turn,
    with 500 photos and with all of them; from the two sizes follows what one more photo costs, without the start. The
    last column is what `bulk` says of its workers.

The photos are those of a folder, as often as need be, or made up, of Flickr8k's size.
"""

import argparse
import csv
import itertools
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import pyarrow.dataset
from made_up import make_photos, seconds

from captioner.bulk.plan import PHOTOS_A_BLOCK

PARTS = ("loss", "cost")
FEW = 500


def main() -> None:
    """Measure, and print a table for each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=3000)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--folder", type=Path, help="photos to take (default: made up)")
    parser.add_argument("--model", type=Path, help="model directory (default: as predict.py chooses)")
    arguments = parser.parse_args()
    model = ["--model", str(arguments.model.resolve())] if arguments.model else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = folder / "photos"
        photos.mkdir()
        if arguments.folder is None:
            make_photos(photos, arguments.photos)
        else:
            link(sorted(arguments.folder.glob("*.jpg")), photos, arguments.photos)
        predict, bulk = partial(run, "predict.py", *model), partial(run, "-m", "captioner", "bulk", *model)
        predict(next(photos.iterdir()))  # the networks are prepared
        if "loss" in arguments.only:
            loss(folder, photos, predict, model)
        if "cost" in arguments.only:
            cost(folder, photos, predict, bulk)


def link(sources: list[Path], folder: Path, count: int) -> None:
    """Fill a folder with links to `count` photos, which come again where there are not enough."""
    for number, source in enumerate(itertools.islice(itertools.cycle(sources), count)):
        (folder / f"{number:06d}{source.suffix}").symlink_to(source.resolve())


def loss(folder: Path, photos: Path, predict: Callable[..., str], model: list[str]) -> None:
    """Kill a node half-way, and compare what is there with what `predict.py` says."""
    output, count = folder / "loss", len(list(photos.iterdir()))
    command = [sys.executable, "-m", "captioner", "bulk", photos, "--output", output, "--ray-address", "auto", *model]
    printed = run("benchmarks/two_nodes.py", output, max(1, count // PHOTOS_A_BLOCK // 2), *command)
    predict(photos, "--format", "csv", "--output", folder / "expected.csv")
    with (folder / "expected.csv").open(newline="", encoding="utf-8") as file:
        expected = {row["image"]: row["caption"] for row in csv.DictReader(file)}
    found = pyarrow.dataset.dataset(output).to_table(columns=["path", "caption"]).to_pylist()
    captions = {row["path"]: row["caption"] for row in found}
    equal = sum(captions.get(image) == caption for image, caption in expected.items())
    print("| photos | rows | different photos | captions as predict.py's | |\n|---|---|---|---|---|")
    killed = printed[printed.index("a node was killed") :].splitlines()[0]
    print(f"| {count} | {len(found)} | {len(captions)} | {equal} | {killed} |\n")
    if not count == len(found) == len(captions) == len(expected) == equal:
        raise SystemExit("the output is not what it should be")


def cost(folder: Path, photos: Path, predict: Callable[..., str], bulk: Callable[..., str]) -> None:
    """Time whole processes on few and on all photos, in turn."""
    sources = sorted(photos.iterdir())
    few, most = min(FEW, len(sources)), len(sources)
    took: dict[tuple[str, int], float] = {}
    printed: list[str] = []

    def listen(side: Callable[[], str]) -> None:
        printed.append(side())

    print("| photos | | seconds | seconds a photo | |\n|---|---|---|---|---|")
    for count in sorted({few, most}):
        some = folder / f"photos-{count}"
        some.mkdir()
        link(sources, some, count)
        sides = {
            "predict.py": partial(predict, some, "--format", "csv", "--output", folder / f"{count}.csv"),
            "bulk": partial(bulk, some, "--output", folder / f"bulk-{count}"),
        }
        for name, side in sides.items():
            took[name, count] = seconds(partial(listen, side))
            last = printed[-1].strip().rpartition("\n")[2].removeprefix("captioner: ") if name == "bulk" else ""
            each = took[name, count] / count
            print(f"| {count:,} | {name} | {took[name, count]:.1f} | {each:.4f} | {last} |", flush=True)
    if few < most:
        for name in ("predict.py", "bulk"):
            more = (took[name, most] - took[name, few]) / (most - few)
            print(f"| each beyond {few} | {name} | | {more:.4f} | |")


def run(*arguments: object) -> str:
    """Run the project's Python in its folder, and return what it says on stderr.

    Raises:
        SystemExit: it failed.
    """
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {done.stderr}")
    return done.stderr


if __name__ == "__main__":
    main()

"""Captions on a cluster: is every photo there once when a machine is lost, and what does a photo cost?

    python benchmarks/bulk.py [--photos 3000] [--only loss cost] [--folder DIR]

loss: a Ray cluster of two nodes on this machine, a core each. `captioner bulk` captions the photos; half-way the second
    node is killed. Then every photo must be in the output once, with the caption that `predict.py photos/` gives it.
cost: `captioner bulk` on a cluster of this machine's cores, against the whole process `predict.py photos/`, with 500
    photos and with all of them: seconds a photo, and processor seconds a photo, which other work on the machine
    disturbs less; and the most memory that a worker held.

The photos are those of a folder, as often as need be, or made up, of Flickr8k's size.
"""

import argparse
import csv
import itertools
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import pyarrow.dataset
from made_up import make_photos

PARTS = ("loss", "cost")
FEW = 500
NODE = {"num_cpus": 1, "object_store_memory": 200_000_000, "node_ip_address": "127.0.0.1"}


def main() -> None:
    """Measure, and print a table for each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=3000)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--folder", type=Path, help="photos to take (default: made up)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = folder / "photos"
        photos.mkdir()
        if arguments.folder is None:
            make_photos(photos, arguments.photos)
        else:
            link(sorted(arguments.folder.glob("*.jpg")), photos, arguments.photos)
        run("predict.py", next(photos.iterdir()))  # the networks are prepared
        if "loss" in arguments.only:
            loss(folder, photos)
        if "cost" in arguments.only:
            cost(folder, photos, arguments.photos)


def link(sources: list[Path], folder: Path, count: int) -> None:
    """Fill a folder with links to `count` photos, which come again where there are not enough."""
    for number, source in enumerate(itertools.islice(itertools.cycle(sources), count)):
        (folder / f"{number:06d}{source.suffix}").symlink_to(source.resolve())


def loss(folder: Path, photos: Path) -> None:
    """Kill a node half-way, and compare what is there with what `predict.py` says."""
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0")  # loopback only
    from ray.cluster_utils import Cluster

    output, count = folder / "loss", len(list(photos.iterdir()))
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    second = cluster.add_node(**NODE)
    cluster.wait_for_nodes()
    try:
        process = subprocess.Popen(
            [*command(photos, output), "--ray-address", "auto"],
            cwd=ROOT,
            env={**os.environ, "RAY_ADDRESS": cluster.address},
        )
        while process.poll() is None and (done := rows(output)) < count / 2:
            time.sleep(0.5)
        cluster.remove_node(second, allow_graceful=False)
        if process.wait():
            raise SystemExit("bulk failed")
    finally:
        cluster.shutdown()
    run("predict.py", photos, "--format", "csv", "--output", folder / "expected.csv")
    with (folder / "expected.csv").open(newline="", encoding="utf-8") as file:
        expected = {row["image"]: row["caption"] for row in csv.DictReader(file)}
    found = pyarrow.dataset.dataset(output).to_table(columns=["path", "caption"]).to_pylist()
    captions = {row["path"]: row["caption"] for row in found}
    print("| photos | rows | different photos | node killed after | captions as predict.py's |\n|---|---|---|---|---|")
    equal = sum(captions.get(image) == caption for image, caption in expected.items())
    print(f"| {count} | {len(found)} | {len(captions)} | {done} | {equal} |\n")
    if not count == len(found) == len(captions) == len(expected) == equal:
        raise SystemExit("the output is not what it should be")


def rows(output: Path) -> int:
    """Count the rows of the parts that are there."""
    parts = list(output.glob("part-*.parquet"))
    return pyarrow.dataset.dataset(parts).count_rows() if parts else 0


def cost(folder: Path, photos: Path, most: int) -> None:
    """Time whole processes on few and on all photos, in turn."""
    print("| photos | | seconds a photo | processor seconds a photo | said |\n|---|---|---|---|---|")
    for count in sorted({min(FEW, most), most}):
        some = folder / f"photos-{count}"
        some.mkdir()
        link(sorted(photos.iterdir()), some, count)
        taken = {
            "predict.py": measured("predict.py", some, "--format", "csv", "--output", folder / f"{count}.csv"),
            "bulk": measured(*command(some, folder / f"bulk-{count}")[1:]),
        }
        for name, (seconds, processor, said) in taken.items():
            print(f"| {count} | {name} | {seconds / count:.4f} | {processor / count:.4f} | {said} |")


def command(photos: Path, output: Path) -> list[str]:
    """Return the command line of a bulk run."""
    return [sys.executable, "-m", "captioner", "bulk", str(photos), "--output", str(output)]


def measured(*arguments: object) -> tuple[float, float, str]:
    """Run the project: seconds, processor seconds of it and of all that it started, and the last line of stderr."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    said = run(*arguments)
    after, seconds = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - began
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, processor, said.strip().rpartition("\n")[2].removeprefix("captioner: ")


def run(*arguments: object) -> str:
    """Run the project's Python in its folder, and return what it says on stderr.

    Raises:
        SystemExit: it failed.
    """
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{arguments[0]} failed: {done.stderr}")
    return done.stderr


if __name__ == "__main__":
    main()

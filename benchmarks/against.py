"""Whole commands of this checkout against those of another one, in turn: a photo, a folder, large photos.

    git worktree add ../before COMMIT
    python benchmarks/against.py ../before --photos FOLDER [--rounds 7] [--model flickr8k] [--only one folder large]

one: `python predict.py photo.jpg`, once the networks are prepared.
folder: `python predict.py FOLDER --format csv --output captions.csv`, with the most memory that all of its processes
    have together (PSS).
large: the same for 100 JPEGs of 12 megapixels, which are made of the first photos of the folder.

Both run in the environment of this script, each with a cache of its own.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import psutil
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("one", "folder", "large")
LARGE, COUNT = (4000, 3000), 100


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="the other checkout")
    parser.add_argument("--photos", type=Path, required=True, help="a folder")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--model", default="flickr8k", help="a directory in saved_models of both")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    arguments = parser.parse_args()
    photos = sorted(arguments.photos.resolve().iterdir())
    rows = []
    with tempfile.TemporaryDirectory() as name:
        given = {"one": photos[:1], "folder": [arguments.photos.resolve()]}
        if "large" in arguments.only:
            given["large"] = [enlarged(photos[:COUNT], Path(name, "large"))]
        for part in arguments.only:
            sides = {"before": arguments.before.resolve(), "after": ROOT}
            times: dict[str, list[float]] = {side: [] for side in sides}
            memory = dict.fromkeys(sides, 0.0)
            for number in range(arguments.rounds + 1):
                for side, root in sides.items():
                    command = ["--model", str(root / "saved_models" / arguments.model), *map(str, given[part])]
                    if part != "one":
                        command += ["--format", "csv", "--output", str(Path(name, f"{part}-{side}-{number}.csv"))]
                    seconds, megabytes = run(root, command, Path(name, f"cache-{side}"))
                    if number:  # the first prepares the networks
                        times[side].append(seconds)
                        memory[side] = max(memory[side], megabytes)
            rows.append(
                {"part": part, "before s": statistics.median(times["before"]), "s": statistics.median(times["after"])}
                | {
                    "share": ratio(times["after"], times["before"]),
                    "before MB": memory["before"],
                    "MB": memory["after"],
                }
            )
            print(pd.DataFrame(rows).round(3).to_string(index=False), flush=True)


def ratio(after: Sequence[float], before: Sequence[float]) -> float:
    """Return the median of the ratios of neighbours in time."""
    return statistics.median(one / other for one, other in zip(after, before, strict=True))


def run(root: Path, arguments: Sequence[str], cache: Path) -> tuple[float, float]:
    """Run predict.py of a checkout: seconds, and the most megabytes that its processes had together."""
    unusual = ("OPENBLAS_NUM_THREADS", "PYTHONDONTWRITEBYTECODE")
    environment = {name: value for name, value in os.environ.items() if name not in unusual}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, str(root / "predict.py"), *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment | {"XDG_CACHE_HOME": str(cache)},
    )
    most = [0.0]
    watcher = threading.Thread(target=watch, args=(process.pid, most), daemon=True)
    watcher.start()
    code = process.wait()
    seconds = time.perf_counter() - began
    watcher.join()
    if code:
        raise SystemExit(f"{root / 'predict.py'} {' '.join(arguments)} failed")
    return seconds, most[0]


def watch(pid: int, most: list[float]) -> None:
    """Note the most memory of a process and its children, ten times a second, while they live."""
    while psutil.pid_exists(pid):
        total = 0
        try:
            parent = psutil.Process(pid)
            if parent.status() == psutil.STATUS_ZOMBIE:
                return
            for each in (parent, *parent.children(recursive=True)):
                total += each.memory_full_info().pss
        except psutil.Error:  # it ended in between
            pass
        most[0] = max(most[0], total / 1e6)
        time.sleep(0.1)


def enlarged(photos: Sequence[Path], folder: Path) -> Path:
    """Make JPEGs of 12 megapixels."""
    folder.mkdir()
    for photo in photos:
        with Image.open(photo) as image:
            image.convert("RGB").resize(LARGE, Image.Resampling.LANCZOS).save(folder / f"{photo.stem}.jpg", quality=90)
    return folder


if __name__ == "__main__":
    main()

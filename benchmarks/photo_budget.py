"""What it costs to open photos in processes of their own, each under a budget.

    python benchmarks/photo_budget.py [--pairs 9] [--photos 200] [--model DIR]

A folder is captioned through `Captioner.stream`, as shipped and with every photo opened in the process itself, in turn;
the processes are started anew each time. The figures are medians, and the median of the pairs' ratios.
The photos are made up, of Flickr8k's size (500 x 375) and of a phone's (4000 x 3000).
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as predict.py sets it

import numpy as np
from made_up import make_photos
from PIL import Image

from captioner import Captioner
from captioner.model_files.shipped import shipped_model
from captioner.photos.opening import open_photo
from captioner.photos.process import PhotoOpener

PHONE = (4000, 3000)


def main() -> None:
    """Measure, and print a line for each kind of folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--model", type=Path, default=shipped_model())
    arguments = parser.parse_args()
    captioner = Captioner.load(arguments.model)
    with tempfile.TemporaryDirectory() as name:
        small = make_photos(Path(name), arguments.photos)
        large = []
        for number, path in enumerate(small[: len(small) // 8]):
            large.append(Path(name, f"phone{number}.jpg"))
            with Image.open(path) as photo:
                photo.resize(PHONE).save(large[-1], quality=90)
        for what, photos in (("500 x 375", small), ("4000 x 3000", large)):
            compare(captioner, what, photos, arguments.pairs)


def compare(captioner: Captioner, what: str, photos: list[Path], pairs: int) -> None:
    """Time both ways in turn, after a first round that nobody counts."""
    apart, together = [], []
    for _ in range(pairs + 1):
        apart.append(seconds(captioner, photos, PhotoOpener()))
        together.append(seconds(captioner, photos, None))
    ratios = [first / second for first, second in zip(apart[1:], together[1:], strict=True)]
    print(
        f"{len(photos)} photos of {what}: {statistics.median(apart[1:]):.2f} s in processes of their own, "
        f"{statistics.median(together[1:]):.2f} s in one; median ratio {statistics.median(ratios):.3f} of {pairs} pairs"
    )


def seconds(captioner: Captioner, photos: list[Path], opener: PhotoOpener | None) -> float:
    """Caption the photos; the opener is closed at the end, and was not used before."""

    def open_here(photo: Path, size: int, **options: object) -> np.ndarray:
        return open_photo(photo, size=size)

    captioner._opener = opener
    with mock.patch("captioner.runtime.captioner.open_photo", open_photo if opener else open_here):
        begun = time.perf_counter()
        for _, _ in captioner.stream(photos):
            pass
        taken = time.perf_counter() - begun
    if opener is not None:
        opener.close()
    return taken


if __name__ == "__main__":
    main()

"""What the benchmarks share: photos that nobody took, and a clock."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image


def make_photos(folder: Path, count: int) -> list[Path]:
    """Write `count` different JPEGs of 500 x 375 pixels with something like the detail of photos."""
    rng = np.random.default_rng(0)
    paths = [folder / f"{number}.jpg" for number in range(count)]
    for path in paths:
        coarse = Image.fromarray(rng.integers(0, 256, (75, 100, 3), dtype=np.uint8))
        coarse.resize((500, 375), Image.Resampling.BICUBIC).save(path, quality=90)
    return paths


def seconds(work: Callable[[], object]) -> float:
    """Return how long `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began

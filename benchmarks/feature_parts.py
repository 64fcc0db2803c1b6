"""Training on features that are many times larger than memory should hold: does it stay flat, and how fast is it read?

    python benchmarks/feature_parts.py [--photos 2000 8000 32000]

Each row is one process that takes an epoch of shuffled batches of 32 photos, as training does, from made-up features of
InceptionV3's shape (164 KB a photo) in parts as `captioner bulk --features` writes them. Memory is the most that the
process held; captions are left out of it, all photos have the same ones.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from captioner.data.feature_parts import DTYPE, LINES, NUMBERS, SETTINGS, FeatureParts
from captioner.training.inputs.batches import Batch, CaptionBatches, caption_arrays

SHAPE = (64, 1280)
PHOTOS_A_PART = 64
CAPTIONS = [[5, 6, 7, 8, 9, 2]] * 5


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, nargs="+", default=[2000, 8000, 32000])
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        read(arguments.read)
        return
    print("| photos | GB | photos a second | peak memory, MB |\n|---|---|---|---|")
    for photos in arguments.photos:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), photos)
            subprocess.run([sys.executable, __file__, "--read", folder], check=True)


def write(folder: Path, photos: int) -> None:
    """Write parts in which no two photos next to each other have the same features."""
    about = {"format": "features", "encoder": {}, "shape": SHAPE}
    (folder / SETTINGS).write_text(json.dumps(about))
    rows = np.random.default_rng(0).normal(size=(PHOTOS_A_PART, *SHAPE)).astype(DTYPE)
    checksums = [zlib.crc32(row.tobytes()) for row in rows]
    for first in range(0, photos, PHOTOS_A_PART):
        count = min(PHOTOS_A_PART, photos - first)
        part = folder / f"part-{first // PHOTOS_A_PART:08d}-0.{NUMBERS}"
        part.write_bytes(rows[:count].tobytes())
        lines = [{"path": f"{first + row}.jpg", "checksum": checksums[row], "error": None} for row in range(count)]
        part.with_suffix(f".{LINES}").write_text("".join(json.dumps(line) + "\n" for line in lines))


def read(folder: Path) -> None:
    """Take an epoch's batches, and print a row of the table."""
    parts = FeatureParts(folder)
    photos = parts.shape[0]
    batches = CaptionBatches([CAPTIONS] * photos, batch_size=32)

    def look_up(number: int, batch: Batch) -> Batch:
        return {"features": parts[batch["rows"]], **caption_arrays(batch)}

    began = time.perf_counter()
    seen = sum(len(batch["features"]) for batch in batches.shuffled(0, 1, look_up))
    rate = seen / (time.perf_counter() - began)
    size = photos * np.prod(SHAPE) * DTYPE.itemsize / 1e9
    print(f"| {photos:,} | {size:.1f} | {rate:,.0f} | {peak():.0f} |", flush=True)


def peak() -> float:
    """Return the most memory that this program has held, in MB; `getrusage` counts what started it too."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    main()

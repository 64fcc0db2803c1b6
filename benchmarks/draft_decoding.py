"""What it costs and saves to decode large JPEGs straight to a fraction of their sides.

    python benchmarks/draft_decoding.py --model saved_models/compact [another ...] [--data DIR] [--limit N]

Flickr8k's dev photos are enlarged to 4 and 12 megapixels and saved as JPEG of quality 90; "grain" adds noise to each
pixel, as cameras do. Each is then opened both ways, and captioned. The difference of CIDEr-D x 100 has a 95% interval
by paired bootstrap. Times are medians of one core's milliseconds, both ways in turn.
"""

import argparse
import io
import os
import statistics
import sys
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as predict.py sets it
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from paired import paired_interval
from PIL import Image

from captioner import Captioner
from captioner.data.dataset import Example
from captioner.data.flickr8k import find_or_download
from captioner.metrics.cider import CiderD
from captioner.photos.decoding import squash
from captioner.photos.opening import open_photo
from captioner.system.cores import available_cores
from captioner.system.prefetch import prefetch_map
from captioner.text import normalise

SIZES = {"4 MP": (2304, 1728, 0.0), "12 MP": (4000, 3000, 0.0), "12 MP, grain": (4000, 3000, 8.0)}
"""Width, height, and the standard deviation of the noise."""

Pair = tuple[np.ndarray, np.ndarray]
"""A photo as the encoder reads it, decoded whole and decoded to a fraction."""


def enlarged(photo: Path, width: int, height: int, grain: float) -> bytes:
    """Return a photo as a large JPEG."""
    large = Image.open(photo).convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    if grain:
        noise = np.random.default_rng(0).normal(0, grain, (height, width, 1)).astype(np.float32)
        large = Image.fromarray(np.clip(np.asarray(large) + noise, 0, 255).astype(np.uint8))
    file = io.BytesIO()
    large.save(file, "JPEG", quality=90)
    return file.getvalue()


def pair(content: bytes, size: int) -> tuple[Pair, float, float]:
    """Return a photo opened both ways, and the milliseconds of a core that each took."""
    begun = time.thread_time()
    whole = np.asarray(squash(Image.fromarray(open_photo(content)), size))
    between = time.thread_time()
    fraction = open_photo(content, size=size)
    return (whole, fraction), 1e3 * (between - begun), 1e3 * (time.thread_time() - between)


def compare(captioner: Captioner, examples: list[Example], cider: CiderD, name: str) -> None:
    """Print the row of one size."""
    size = captioner.encoder.image_size

    def opened(example: Example) -> tuple[Pair, float, float]:
        return pair(enlarged(example.image, *SIZES[name]), size)

    pairs, whole_ms, fraction_ms = zip(*prefetch_map(opened, examples, available_cores()), strict=True)
    whole, fraction = zip(*pairs, strict=True)
    words = [[list(each.words) for each in captioner(photos)] for photos in (list(whole), list(fraction))]
    scores = [np.array([cider.score(number, generated) for number, generated in enumerate(own)]) for own in words]
    low, high = paired_interval(*scores)
    before, after = (100 * float(own.mean()) for own in scores)
    changed = sum(one != other for one, other in zip(*words, strict=True)) / len(examples)
    times = f"{statistics.median(whole_ms):.0f} | {statistics.median(fraction_ms):.0f}"
    difference = f"{after - before:+.2f} ({low:+.2f} to {high:+.2f})"
    print(f"| {name} | {before:.1f} | {after:.1f} | {difference} | {changed:.1%} | {times} |", flush=True)


def main() -> None:
    """Caption and score, and print a table for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, nargs="+", default=[Path("saved_models/compact")])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--limit", type=int, help="so many photos only")
    arguments = parser.parse_args()
    examples = list(find_or_download(arguments.data, "auto").split("dev")[: arguments.limit])
    cider = CiderD([[words for each in example.captions if (words := normalise(each))] for example in examples])
    for model in arguments.model:
        captioner = Captioner.load(model)
        print(f"{model}, {len(examples)} photos\n")
        print("| photos | CIDEr-D, whole | a fraction | difference | captions that change | ms, whole | a fraction |")
        print("|---|---|---|---|---|---|---|")
        for name in arguments.sizes:
            compare(captioner, examples, cider, name)


if __name__ == "__main__":
    main()

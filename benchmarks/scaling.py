"""How time and memory of a caption training grow with the photos and with the words.

    python benchmarks/scaling.py [--images 400]

Each row is one process that trains as `python train.py` does, one epoch to warm up and three that are timed, on made-up
features and captions of Flickr8k's shape: N, 2N and 4N photos with 2,540 words, then N photos with 2 to 8 times as many
words.
"""

import argparse
import os
import resource
import statistics
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))

from contenders import Contender, Orders
from train_speed import Task, ours

from captioner.training.precision import choose_precision

WORDS = 2540
EPOCHS = 3


def contend(images: int, words: int) -> Orders:
    """Train an epoch when told to `run`; `memory` is the peak of this process in bytes."""
    run = ours(Task(images, words), choose_precision("auto"))
    return {"run": run, "memory": lambda: 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=400)
    images = parser.parse_args().images
    sizes = [(images * times, WORDS) for times in (1, 2, 4)] + [(images, WORDS * times) for times in (2, 4, 8)]
    print("| photos | words | seconds an epoch | captions a second | peak memory, GB |\n|---|---|---|---|---|")
    for photos, words in sizes:
        contender = Contender(contend, photos, words, a_core_a_shard=True)
        took = statistics.median(contender.ask("time") for _ in range(EPOCHS))
        memory = contender.ask("memory")
        print(f"| {photos:,} | {words:,} | {took:.1f} | {5 * photos / took:,.0f} | {memory / 1e9:.2f} |", flush=True)


if __name__ == "__main__":
    main()

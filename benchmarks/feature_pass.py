"""Photos a second of the feature pass (files in, store out) against the bare encoder on arrays already in memory.

    python benchmarks/feature_pass.py [--photos 256] [--rounds 3]

Both run in turn in one process, on made-up JPEGs of Flickr8k's size and with random weights, which cost the same.
"""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import numpy as np
import tensorflow as tf
from made_up import make_photos, seconds

from captioner.config.model import EncoderConfig
from captioner.models.encoder import build_encoder
from captioner.training.inputs.features import extract_features

BATCH_SIZE = 32


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    encoder = build_encoder(EncoderConfig(), weights=None)
    images = np.random.default_rng(0).uniform(-1, 1, (BATCH_SIZE, 299, 299, 3)).astype(np.float32)
    encode = tf.function(lambda batch: encoder(batch, training=False), autograph=False)

    def bare() -> None:
        for _ in range(arguments.photos // BATCH_SIZE):
            encode(images).numpy()

    with tempfile.TemporaryDirectory() as folder:
        photos = make_photos(Path(folder), arguments.photos)

        def read() -> None:
            extract_features(photos, encoder, "mixed8")

        rounds: dict[str, list[float]] = {"bare encoder": [], "feature pass": []}
        bare()
        for number in range(arguments.rounds):
            os.environ["XDG_CACHE_HOME"] = str(Path(folder, f"cache-{number}"))  # an empty one: nothing is known yet
            rounds["bare encoder"].append(seconds(bare))
            rounds["feature pass"].append(seconds(read))
    medians = {name: statistics.median(times) for name, times in rounds.items()}
    print("| | photos a second | of the bare encoder |\n|---|---|---|")
    for name, median in medians.items():
        print(f"| {name} | {arguments.photos / median:.1f} | {medians['bare encoder'] / median:.0%} |")


if __name__ == "__main__":
    main()

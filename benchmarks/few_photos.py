"""Train on few photos from the shipped model, and score what it has learned on photos that were held out.

The captions of the dev photos, from which no shipped model has learned, are rewritten by a rule that no caption of
Flickr8k follows: every dog is a border collie, and what happens has happened ("a dog runs" becomes "a border collie
ran"). From 50, 200 and 600 of these photos a training with default settings starts at `saved_models/flickr8k`, with
three seeds. The other 400 photos have no part in it. After each epoch that is the best so far, the weights that the
training would keep caption them.

    python benchmarks/few_photos.py --output few_photos
"""

import argparse
import itertools
import logging
import random
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from paired import paired_interval

import captioner
from captioner.data.dataset import CaptionDataset, Example
from captioner.data.flickr8k import find_or_download
from captioner.data.splits import random_split
from captioner.metrics.cider import CiderD
from captioner.models.directory import load_model
from captioner.models.networks import load_networks
from captioner.text import normalise
from captioner.training.devices import give_each_shard_its_core
from captioner.training.evaluation import caption_split
from captioner.training.inputs.split import Split, read_split

MODEL = Path(__file__).resolve().parents[1] / "saved_models" / "flickr8k"
SIZES, SEEDS, HELD_OUT = (50, 200, 600), (0, 1, 2), 400

BREED = {"dog": "border collie", "dogs": "border collies"}
PAST = dict(
    re.findall(
        r"(\w+)/(\w+)",
        """
is/was are/were has/had have/had does/did wears/wore holds/held runs/ran run/ran sits/sat sit/sat stands/stood
stand/stood plays/played play/played jumps/jumped jump/jumped walks/walked walk/walked rides/rode ride/rode swims/swam
climbs/climbed looks/looked look/looked leaps/leapt carries/carried catches/caught chases/chased throws/threw
kicks/kicked pulls/pulled pushes/pushed smiles/smiled swings/swung slides/slid performs/performed poses/posed
pose/posed watches/watched watch/watched hits/hit falls/fell flies/flew lies/lay lays/lay makes/made takes/took
goes/went gets/got bites/bit shows/showed
""",
    )
)
"""Words as Flickr8k's captions have them, and what the rule makes of them."""


def rewrite(caption: str) -> str:
    """Return a caption as words, after the rule."""
    return " ".join((BREED | PAST).get(word, word) for word in normalise(caption))


def rewritten(examples: Sequence[Example]) -> tuple[Example, ...]:
    """Return photos with their captions after the rule."""
    return tuple(Example(each.image, tuple(rewrite(caption) for caption in each.captions)) for each in examples)


def choose_photos(examples: Sequence[Example], size: int) -> CaptionDataset:
    """Return a data set of `size` photos, a tenth of them for dev as where a table names no split, and 400 for test."""
    shuffled = list(examples)
    random.Random(0).shuffle(shuffled)
    own = {each.image.name: each for each in rewritten(shuffled[:size])}
    dev = random_split(own, seed=0)["dev"]
    train_names = [name for name in sorted(own) if name not in dev]
    return CaptionDataset(
        "few-photos",
        {
            "train": tuple(own[name] for name in train_names),
            "dev": tuple(own[name] for name in dev),
            "test": rewritten(shuffled[-HELD_OUT:]),
        },
    )


class HeldOut:
    """Scores the model in a directory on the held-out photos, again whenever its weights are new.

    Attributes:
        rows: of each epoch, its number and the CIDEr-D x 100 of what the training would keep then.
        scores: CIDEr-D of each photo, of the model of epoch 0 and of the last one kept.
    """

    def __init__(self, split: Split, directory: Path) -> None:
        self.split, self.directory = split, directory
        self.cider = CiderD(split.captions)
        self.rows: list[dict[str, float]] = []
        self.scores: list[np.ndarray] = []
        self._written = 0

    def on_epoch_end(self, row: dict[str, float]) -> None:
        """Score what is kept after an epoch."""
        written = (self.directory / "config.json").stat().st_mtime_ns
        if written != self._written:
            self._written, scores = written, self.score()
            self.scores = [*self.scores[:1], scores]
        self.rows.append({"epoch": row["epoch"], "seconds": row["seconds"], "cider": 100 * self.scores[-1].mean()})

    def score(self) -> np.ndarray:
        """Caption the photos with the model in the directory, as `evaluate` does; CIDEr-D of each (M,)."""
        saved = load_model(self.directory)
        beams = caption_split(saved.network, self.split, saved.config.decoding)
        return self.cider.scores([saved.vocabulary.decode(beam[0].tokens) for beam in beams])


def run(dataset: CaptionDataset, split: Split, output: Path, weights: str, **settings: Any) -> HeldOut:
    """Train in `output` and follow it on the held-out photos."""
    shutil.rmtree(output, ignore_errors=True)
    keras.utils.clear_session()
    held_out = HeldOut(split, output)
    captioner.train(dataset, output, callbacks=[held_out], encoder_weights=weights, init_from=str(MODEL), **settings)
    return held_out


def main() -> None:
    """Run all sizes and seeds, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("few_photos"), help="a folder for models and tables")
    parser.add_argument("--encoder-weights", default="imagenet", help="a Keras weights file")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="photos to train on")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--epochs", type=int, help="instead of the default")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    give_each_shard_its_core()
    examples = find_or_download(None).split("dev")
    given = {} if arguments.epochs is None else {"epochs": arguments.epochs}
    curves, totals = [], []
    encoder_config = load_model(MODEL).config.encoder
    _, encoder = load_networks(MODEL, arguments.encoder_weights)
    split = read_split(choose_photos(examples, 0), "test", encoder, encoder_config)
    for seed, size in itertools.product(arguments.seeds, arguments.sizes):
        began = time.monotonic()
        output = arguments.output / f"{size}-{seed}"
        held_out = run(choose_photos(examples, size), split, output, arguments.encoder_weights, seed=seed, **given)
        low, high = paired_interval(held_out.scores[0], held_out.scores[-1])
        before, after = (100 * float(each.mean()) for each in (held_out.scores[0], held_out.scores[-1]))
        totals.append(
            {"photos": size, "seed": seed, "epoch 0": before, "kept": after, "gain": after - before}
            | {"from": low, "to": high, "minutes": (time.monotonic() - began) / 60}
        )
        curves += [{"photos": size, "seed": seed, **row} for row in held_out.rows]
        pd.DataFrame(curves).to_csv(arguments.output / "curves.csv", index=False, float_format="%.4g")
        pd.DataFrame(totals).to_csv(arguments.output / "totals.csv", index=False, float_format="%.4g")
    curve = pd.DataFrame(curves).pivot_table(index="photos", columns="epoch", values="cider")
    print(f"CIDEr-D x 100 on {HELD_OUT} held-out photos after each epoch, mean of the seeds\n")
    print(curve.round(1).to_string())
    print("\nEach run, with the paired 95% interval of its gain\n")
    print(pd.DataFrame(totals).round(2).to_string(index=False))


if __name__ == "__main__":
    main()

"""How far confidence and familiarity can be trusted.

Confidence: on dev, against the share of content words that somebody used; in equally filled bins, and by ten random
halves of dev, one for the table and one to hold against it. Familiarity: dev against the pictures of `foreign`, and dev
photos stretched to the shape that photos have, and sharpened. What both cost.

Flickr8k comes from --data or $CAPTIONER_DATA. scikit-image and scikit-learn need not be installed:

    pip download --no-deps --dest wheels scikit-image scikit-learn
    python -m benchmarks.confidence --wheels wheels [--model saved_models/flickr8k saved_models/compact]

Prints tables in Markdown, and draws `docs/figures/confidence.svg`.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as predict.py sets it

import numpy as np
from confidence_figure import draw_confidence
from foreign import Picture, foreign_pictures
from PIL import Image, ImageFilter

from captioner import Captioner
from captioner.data.flickr8k import find_or_download
from captioner.errors import CaptionerError, PhotoError
from captioner.metrics.content_words import share_confirmed
from captioner.model_files.calibration import GUESS, PROBABLY, SURE, Calibration, distances
from captioner.model_files.directory import CALIBRATION
from captioner.model_files.shipped import model_directory
from captioner.runtime.captioner import AT_ONCE, Photo
from captioner.system.progress import progress_bar
from captioner.text import join_words, normalise
from captioner.training.fitting.calibration import FAMILIAR_SHARE, fit_table

FIGURE = ROOT / "docs" / "figures" / "confidence.svg"
HALVES, BINS = 10, 5
SHAPE = (500, 375)
"""What Flickr8k's photos measure, most of them; where copies are squares of 224 pixels, this stretches them back."""


def stretched(percent: int, photo: Image.Image) -> Image.Image:
    """Return a photo in its shape, sharpened by so much."""
    larger = photo.resize(SHAPE, Image.Resampling.LANCZOS)
    return larger.filter(ImageFilter.UnsharpMask(radius=2, percent=percent, threshold=0)) if percent else larger


SHARPENED: dict[str, Callable[[Image.Image], Image.Image]] = {
    "as they are": lambda photo: photo,
    "stretched to 500 x 375": partial(stretched, 0),
    "and sharpened": partial(stretched, 100),
    "and sharpened hard": partial(stretched, 300),
}
"""What is done to dev photos, for want of sharp ones of the same kind."""


@dataclass(frozen=True)
class Reading:
    """What a model makes of N photos.

    Attributes:
        words: of the best captions.
        scores: (N,), under the length penalty of the calibration.
        confidence: (N,).
        distances: (N,), of the photos from the training photos, 1 at the threshold of what is unfamiliar.
    """

    words: list[list[str]]
    scores: np.ndarray
    confidence: np.ndarray
    distances: np.ndarray

    @property
    def unfamiliar(self) -> np.ndarray:
        """Which photos are marked, (N,)."""
        return self.distances > 1


def main() -> None:
    """Measure, print the tables, and draw the figure; a message where something is missing."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.confidence",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shipped = [ROOT / "saved_models" / name for name in ("flickr8k", "compact")]
    parser.add_argument("--model", type=Path, nargs="+", default=shipped, help="model directories with a calibration")
    parser.add_argument("--data", help="the folder with Flickr8k (default: $CAPTIONER_DATA)")
    parser.add_argument("--wheels", type=Path, help="a folder with the wheels of packages that are not installed")
    parser.add_argument("--precision", choices=("auto", "float32", "int8"), default="auto", help="of the encoder")
    parser.add_argument("--limit", type=int, help="so many dev photos only")
    parser.add_argument("--output", type=Path, default=FIGURE, help="the figure to write")
    arguments = parser.parse_args()
    try:
        run(arguments)
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        sys.exit(130)
    except (CaptionerError, PhotoError, OSError) as error:
        sys.exit(f"{parser.prog}: {error}")


def run(arguments: argparse.Namespace) -> None:
    """Measure all models, one after another.

    Raises:
        CaptionerError: a model or the data cannot be used.
        OSError: pictures are missing, or the figure cannot be written.
    """
    pictures = foreign_pictures(arguments.wheels)  # before the work
    captioners = {path.name: load(path, arguments.precision) for path in map(model_directory, arguments.model)}
    examples = find_or_download(arguments.data).split("dev")[: arguments.limit]
    if len(examples) < 2 * BINS:
        raise CaptionerError(f"{len(examples)} dev photos are too few for {BINS} bins of either half; give Flickr8k")
    references = [[normalise(caption) for caption in example.captions] for example in examples]
    panels = {}
    for (name, captioner), path in zip(captioners.items(), arguments.model, strict=True):
        known = calibration_of(captioner)
        dev = read(captioner, [example.image for example in examples], f"{name}, dev")
        shares = np.array([share_confirmed(*each) for each in zip(dev.words, references, strict=True)])
        foreign = read(captioner, [picture.image for picture in pictures], f"{name}, foreign")
        print(f"### {name}\n")
        print_confidence(known, dev, shares)
        print_familiarity(known, dev, foreign, pictures)
        print_sharp(captioner, [example.image for example in examples[::4]])
        print_cost(captioner, known, path / CALIBRATION, examples[0].image)
        print_pictures(known, foreign, pictures)
        kinds = {"dev": dev.distances}
        photographs = np.array([picture.is_photograph for picture in pictures])
        kinds |= {"photographs": foreign.distances[photographs], "pictures": foreign.distances[~photographs]}
        panels[name] = (reliability(dev, shares), kinds)
    print(f"{draw_confidence(arguments.output, panels)}", file=sys.stderr)


def load(path: Path, precision: str) -> Captioner:
    """Load a model.

    Raises:
        CaptionerError: it cannot be used, or knows nothing of its own doubt.
    """
    captioner = Captioner.load(path, precision=precision)
    if captioner.calibration is None:
        raise CaptionerError(
            f"{path} knows nothing of its own doubt; `python -m captioner calibrate --model {path}` fits it"
        )
    return captioner


def calibration_of(captioner: Captioner) -> Calibration:
    """Return what a model that was loaded by `load` knows of its own doubt."""
    assert captioner.calibration is not None
    return captioner.calibration


def read(captioner: Captioner, photos: Sequence[Photo], name: str) -> Reading:
    """Caption photos as `predict` does by default, and tell how far they are from the training photos.

    Raises:
        PhotoError: one cannot be read.
    """
    known = calibration_of(captioner)
    words, means, found = [], [], []
    with progress_bar(features(captioner, photos), total=len(photos), desc=name, unit="photo") as bar:
        each_of = iter(bar)
        while group := list(islice(each_of, AT_ONCE)):
            means += [each.mean(axis=0) for each in group]
            for best, *_ in captioner.search(np.stack(group)):
                words.append(captioner.vocabulary.decode(best.tokens))
                score = best.log_prob / max(1, best.length) ** known.config.length_penalty
                found.append((score, known.confidence(best.log_prob, best.length)))
    scores, confidence = np.array(found).T
    return Reading(words, scores, confidence, distances(np.stack(means), known.arrays) / known.config.unfamiliar)


def features(captioner: Captioner, photos: Iterable[Photo]) -> Iterable[np.ndarray]:
    """Yield the features (L, D) of photos.

    Raises:
        PhotoError: one cannot be read.
    """
    for _, found in captioner.features(photos):
        if isinstance(found, PhotoError):
            raise found
        yield found


def half_splits(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return pairs of random halves of the numbers below `count`."""
    orders = [np.random.default_rng(seed).permutation(count) for seed in range(HALVES)]
    return [(order[: count // 2], order[count // 2 :]) for order in orders]


def equal_bins(scores: np.ndarray, confidence: np.ndarray, shares: np.ndarray, count: int = BINS) -> np.ndarray:
    """Return the means of confidence and share (count, 2) in bins of equally many captions, by score, all (N,)."""
    bins = np.array_split(np.argsort(scores, kind="stable"), count)
    return np.array([(confidence[each].mean(), shares[each].mean()) for each in bins])


def calibration_error(scores: np.ndarray, confidence: np.ndarray, shares: np.ndarray) -> float:
    """Return by how much confidence and share differ, the mean of equally filled bins (Guo et al. 2017, equation 3)."""
    return float(np.abs(np.diff(equal_bins(scores, confidence, shares), axis=1)).mean())


def half_split_errors(scores: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return the calibration errors (HALVES,) of tables fitted to one half of dev, on the other."""
    errors = []
    for fitted, held in half_splits(len(scores)):
        confidence = np.interp(scores[held], *fit_table(scores[fitted], shares[fitted]))
        errors.append(calibration_error(scores[held], confidence, shares[held]))
    return np.array(errors)


def half_split_alarms(found: np.ndarray) -> np.ndarray:
    """Return which share of one half of dev is marked by the threshold of the other (HALVES,), from distances (N,)."""
    halves = half_splits(len(found))
    return np.array([(found[held] > np.quantile(found[fitted], FAMILIAR_SHARE)).mean() for fitted, held in halves])


def out_of_sample(dev: Reading, shares: np.ndarray) -> np.ndarray:
    """Return the confidence (N,) of dev captions, each from a table fitted to the half of dev that it is not in."""
    confidence = np.empty(len(shares))
    one, other = half_splits(len(shares))[0]
    for fitted, held in ((one, other), (other, one)):
        confidence[held] = np.interp(dev.scores[held], *fit_table(dev.scores[fitted], shares[fitted]))
    return confidence


def reliability(dev: Reading, shares: np.ndarray) -> Mapping[int, np.ndarray]:
    """Return the points (count, 2) of the diagram by their number, with a confidence that is out of sample."""
    confidence = out_of_sample(dev, shares)
    return {count: equal_bins(dev.scores, confidence, shares, count) for count in (BINS, 2 * BINS)}


def auroc(inside: np.ndarray, outside: np.ndarray) -> float:
    """Return how often one outside is farther than one inside, ties counted half (Mann and Whitney 1947)."""
    pairs = outside[:, None] - inside[None, :]
    return float((pairs > 0).mean() + (pairs == 0).mean() / 2)


def certainties(known: Calibration, reading: Reading) -> np.ndarray:
    """Return what each caption is called, (N,)."""
    return np.array([known.certainty(each) for each in reading.confidence])


def is_marked(known: Calibration, reading: Reading) -> np.ndarray:
    """Tell which captions (N,) carry a remark: a guess, or of an unfamiliar photo."""
    return reading.unfamiliar | (certainties(known, reading) == GUESS)


def print_confidence(known: Calibration, dev: Reading, shares: np.ndarray) -> None:
    """Print how right dev captions are at each certainty, and the errors of calibration."""
    called = certainties(known, dev)
    print(f"| {len(shares)} dev captions | how many | content words that somebody used | captions with all of them |")
    print("|---|---|---|---|")
    for name in (SURE, PROBABLY, GUESS):
        if (mine := shares[called == name]).size:
            print(f"| {name} | {mine.size / shares.size:.0%} | {mine.mean():.0%} | {(mine == 1).mean():.0%} |")
    print(f"| all | | {shares.mean():.0%} | {(shares == 1).mean():.0%} |\n")
    errors, own = half_split_errors(dev.scores, shares), calibration_error(dev.scores, dev.confidence, shares)
    span = f"from {errors.min():.3f} to {errors.max():.3f}"
    print(f"- calibration error, {HALVES} random halves: {errors.mean():.3f}, {span}")
    print(f"- of the model's own table on all of dev: {own:.3f}")
    for count, points in reliability(dev, shares).items():
        row = ", ".join(f"{x:.2f}: {y:.2f}" for x, y in points)
        print(f"- {count} bins, confidence out of sample: share: {row}")


def print_familiarity(known: Calibration, dev: Reading, foreign: Reading, pictures: Sequence[Picture]) -> None:
    """Print how well familiar and unfamiliar photos are told apart."""
    photographs = np.array([picture.is_photograph for picture in pictures])
    marked, called = is_marked(known, foreign), certainties(known, dev)
    surest = dev.confidence >= np.median(dev.confidence)
    alarms = half_split_alarms(dev.distances)
    whole = auroc(dev.distances, foreign.distances)
    print(f"- AUROC of {len(dev.words)} dev photos against {len(pictures)}: {whole:.3f}")
    for name, chosen in (("photographs", photographs), ("pictures", ~photographs)):
        mine = auroc(dev.distances, foreign.distances[chosen])
        print(f"  - {chosen.sum()} {name}: {mine:.3f}; unfamiliar {foreign.unfamiliar[chosen].sum()}, ", end="")
        print(f"unfamiliar or a guess {marked[chosen].sum()}")
    print(f"- dev marked unfamiliar: {dev.unfamiliar.mean():.1%}")
    print(f"- of one half of dev by the threshold of the other: {alarms.mean():.1%}, at most {alarms.max():.1%}")
    print(f"- of the surest half of dev: unfamiliar {dev.unfamiliar[surest].mean():.1%}, ", end="")
    print(f"a guess {(called[surest] == GUESS).sum()}")


def print_sharp(captioner: Captioner, paths: Sequence[Path]) -> None:
    """Print which share of dev photos is marked once they are stretched and sharpened."""
    known, rows = calibration_of(captioner), []
    photos = [Image.open(path).convert("RGB") for path in paths]
    sizes = {photo.size for photo in photos}
    for name, alter in SHARPENED.items():
        means = np.stack([each.mean(axis=0) for each in features(captioner, map(alter, photos))])
        found = distances(means, known.arrays) / known.config.unfamiliar
        rows.append(f"{name} {(found > 1).mean():.1%} (median distance {np.median(found):.3f})")
    print(f"- marked of {len(photos)} dev photos (the largest of {max(sizes)}): {', '.join(rows)}")


def print_cost(captioner: Captioner, known: Calibration, file: Path, photo: Path) -> None:
    """Print the milliseconds a photo, and the size of the file."""
    (seen,) = features(captioner, [photo])
    took = []
    for _ in range(200):
        began = time.perf_counter()
        known.certainty(known.confidence(-12.0, 10))
        known.is_familiar(seen)
        took.append(1000 * (time.perf_counter() - began))
    print(f"- cost: {statistics.median(took):.2f} ms per photo, {file.stat().st_size / 1e6:.2f} MB\n")


def print_pictures(known: Calibration, foreign: Reading, pictures: Sequence[Picture]) -> None:
    """Print what is said of each picture."""
    print("| picture | caption | confidence | called | unfamiliar |\n|---|---|---|---|---|")
    called = certainties(known, foreign)
    for number, picture in enumerate(pictures):
        text = join_words(foreign.words[number])
        about = f"{foreign.confidence[number]:.2f} | {called[number]}"
        name = picture.name if picture.is_photograph else f"*{picture.name}*"
        print(f"| {name} | {text} | {about} | {'yes' if foreign.unfamiliar[number] else ''} |")
    print(flush=True)


if __name__ == "__main__":
    main()

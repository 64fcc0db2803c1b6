"""How the captioner as a SavedModel compares with the library: what it says, and how long it takes.

    python benchmarks/savedmodel.py [--photos 200] [--batches 1 7 32] [--rounds 5] [--only agreement first steady]

agreement: the share of dev photos with the caption that the library gives, photos as bytes in batches; how far the
    scores lie apart; and how far the pixels that the encoder sees lie apart, after decoding and after resizing.
first: the whole process, from start to the first caption, `predict.py photo.jpg` against one that imports TensorFlow
    alone.
steady: milliseconds a photo, warmed up, in turn, both from the bytes of files, the library with a core a photo.

Flickr8k's dev photos come from $CAPTIONER_DATA; the model is the shipped one, with the encoder's weights that
predict.py finds.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as predict.py sets it

import numpy as np
from made_up import seconds

from captioner import Captioner
from captioner.cli.main import main as captioner_command
from captioner.data.formats import read_dataset
from captioner.model_files.shipped import shipped_model
from captioner.photos.opening import open_photo
from captioner.photos.preprocessing import preprocess
from captioner.runtime.caption import Caption

PARTS = ("agreement", "first", "steady")

BARE = """
import sys
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
print(model.caption_files([open(sys.argv[2], "rb").read()])["captions"].numpy()[0, 0].decode())
"""


def main() -> None:
    """Measure, and print a table for each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 7, 32])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    arguments = parser.parse_args()
    data = os.environ.get("CAPTIONER_DATA") or sys.exit("CAPTIONER_DATA: name the folder with Flickr8k")
    dev = [example.image for example in read_dataset(Path(data)).split("dev")]
    paths = dev[:: max(1, len(dev) // arguments.photos)][: arguments.photos]
    files = [path.read_bytes() for path in paths]
    with tempfile.TemporaryDirectory() as name:
        exported = Path(name, "export")
        if captioner_command(["export", "--model", str(shipped_model()), "--output", str(exported)]):
            sys.exit("the model could not be exported")
        captioner = Captioner.load(shipped_model(), precision="float32")

        import tensorflow as tf

        model = tf.saved_model.load(str(exported))
        if "agreement" in arguments.only:
            agreement(captioner, model, files, arguments.batches)
            pixels(files, captioner.encoder.image_size)
        if "first" in arguments.only:
            first(exported, paths[0], arguments.rounds)
        if "steady" in arguments.only:
            steady(captioner, model, files, arguments.batches, arguments.rounds)


def agreement(captioner: Captioner, model: Any, files: list[bytes], batches: list[int]) -> None:
    """Compare the captions, batch size by batch size; and those of images that the library made of the photos."""
    expected = captioner(files)
    images = [preprocess(open_photo(file), captioner.encoder.image_size) for file in files]
    print(f"| {len(files)} photos, in batches of | same caption | scores apart, mean | most |\n|---|---|---|---|")
    for size in batches:
        compare(f"{size}", [model.caption_files(batch) for batch in cut(files, size)], expected)
    found = [model.caption_images(np.stack(batch)) for batch in cut(images, batches[-1])]
    compare(f"{batches[-1]}, the library's pixels", found, expected)
    print()


def cut(values: list[Any], size: int) -> list[list[Any]]:
    """Cut a list into batches."""
    return [values[start : start + size] for start in range(0, len(values), size)]


def compare(name: str, batches: list[dict[str, Any]], expected: list[Caption]) -> None:
    """Print a row of the table; captions that differ go to stderr."""
    texts = [text.decode() for found in batches for text in found["captions"].numpy()[:, 0]]
    scores = [score for found in batches for score in found["scores"].numpy()[:, 0].tolist()]
    same = [text == caption.text for text, caption in zip(texts, expected, strict=True)]
    apart = [abs(score - caption.score) for score, caption in zip(scores, expected, strict=True)]
    print(f"| {name} | {np.mean(same):.1%} | {np.mean(apart):.6f} | {max(apart):.6f} |")
    for text, caption in zip(texts, expected, strict=True):
        if text != caption.text:
            print(f"    {caption.text!r} became {text!r}", file=sys.stderr)


def pixels(files: list[bytes], size: int) -> None:
    """Compare what the two see: decoded, and resized; and what the usual calls of TensorFlow would make of it."""
    import tensorflow as tf

    from captioner.export.photos import preprocess as in_graph

    resize = tf.function(lambda photo: in_graph(photo, size), reduce_retracing=True)
    rows: dict[str, list[np.ndarray]] = {}

    def note(name: str, found: Any, expected: np.ndarray) -> None:
        rows.setdefault(name, []).append(np.abs(np.asarray(found, np.float32) - expected).ravel())

    for file in files:
        photo = open_photo(file)
        note("decoded", tf.io.decode_jpeg(file, 3, dct_method="INTEGER_ACCURATE"), photo)
        note("decoded, TensorFlow's default", tf.io.decode_jpeg(file, 3), photo)
        resized = (preprocess(photo, size) + 1) * 127.5
        note("resized", (resize(photo) + 1) * 127.5, resized)
        note(
            "resized, plain `tf.image.resize(antialias=True)`",
            tf.image.resize(photo, (size, size), antialias=True),
            resized,
        )
    print("| pixels, steps of 255 apart | mean | most | numbers that differ by more than 0.01 |\n|---|---|---|---|")
    for name, parts in rows.items():
        apart = np.concatenate(parts)
        print(f"| {name} | {apart.mean():.4f} | {apart.max():.2f} | {(apart > 0.01).mean():.2%} |")
    print()


def first(exported: Path, photo: Path, rounds: int) -> None:
    """Time whole processes up to a photo's caption, in turn."""
    commands = {
        "SavedModel, TensorFlow alone": [sys.executable, "-c", BARE, str(exported), str(photo)],
        "`predict.py photo.jpg`": [
            sys.executable,
            str(ROOT / "predict.py"),
            str(photo),
            "--model",
            str(shipped_model()),
        ],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            if number:  # in the first round the files come into memory
                times[name].append(time.perf_counter() - began)
    print("| first caption, whole process | seconds, median | least |\n|---|---|---|")
    for name, each in times.items():
        print(f"| {name} | {statistics.median(each):.2f} | {min(each):.2f} |")
    print()


def steady(captioner: Captioner, model: Any, files: list[bytes], batches: list[int], rounds: int) -> None:
    """Time batches of photos, in turn."""
    print("| ms a photo, steady | SavedModel | library | SavedModel, photos a second |\n|---|---|---|---|")
    for size in batches:
        times: dict[str, list[float]] = {"SavedModel": [], "library": []}
        for number in range(rounds + 1):
            start = number * size % (len(files) - size + 1)
            batch = files[start : start + size]
            works = {"SavedModel": lambda b=batch: model.caption_files(b), "library": lambda b=batch: captioner(b)}
            for name, work in works.items():
                took = seconds(work)
                if number:
                    times[name].append(1000 * took / size)
        graph, library = (statistics.median(each) for each in times.values())
        print(f"| batches of {size} | {graph:.0f} | {library:.0f} | {1000 / graph:.1f} |")


if __name__ == "__main__":
    main()

"""How fast captions come: a photo from the command line, a folder, and the search alone.

    python benchmarks/predict_speed.py [--rounds 5] [--photos 256] [--only one folder search encoder] [--model DIR]

one: the whole process `python predict.py photo.jpg`, against the same with the networks in Keras, in turn; of a compact
    model also the first call ever, in an empty home without a cache.
folder: the whole process `python predict.py photos/ --format csv --output captions.csv`, against the bare encoder on
    arrays already in memory: in LiteRT, a core for each image, also in float32, and in TensorFlow in batches.
    And the peak memory of the process.
search: from the features of a photo to its caption, at beam widths 1, 5 and the model's own; and of several photos
    together, in turn.
encoder: from a photo's pixels to its features in LiteRT, on all cores, against InceptionV3, in turn.

The photos are made up, of Flickr8k's size; the model is saved_models/flickr8k, with the encoder's weights that
predict.py finds, or the one named.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as predict.py sets it

import numpy as np
from made_up import make_photos, seconds

from captioner import Captioner
from captioner.config.decoding import DecodingConfig
from captioner.config.model import EncoderConfig
from captioner.decoding.captions import generate
from captioner.model_files.directory import CaptionerDirectory
from captioner.model_files.shipped import shipped_model
from captioner.photos.opening import open_photo
from captioner.photos.preprocessing import preprocess
from captioner.runtime.captioner import Encoder
from captioner.runtime.encoder import LiteRTEncoder
from captioner.system.cores import available_cores
from captioner.system.native_stderr import stderr_closed

BATCH_SIZE = 32
PARTS = ("one", "folder", "search", "encoder")
# In a small process of its own, since a child's greatest memory counts from before it is another program.
MEASURE = """
import resource, subprocess, sys, time
began = time.perf_counter()
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def main() -> None:
    """Measure, and print a table for each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--photos", type=int, default=256)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--model", type=Path, default=shipped_model())
    arguments = parser.parse_args()
    model = arguments.model.resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "photos")
        folder.mkdir()
        photos = make_photos(folder, arguments.photos)
        predict(model, photos[0])  # the networks are prepared, and the files in memory
        if "one" in arguments.only:
            one_photo(model, photos[0], arguments.rounds)
        if "folder" in arguments.only:
            whole_folder(model, folder, photos, arguments.rounds)
        if "search" in arguments.only:
            search(model, photos[0], arguments.rounds)
            search_together(model, photos, arguments.rounds)
        if "encoder" in arguments.only:
            encoders(model, photos[0], arguments.rounds)


def one_photo(model: Path, photo: Path, rounds: int) -> None:
    """Time whole processes, in turn."""
    times: dict[str, list[float]] = {"Keras": [], "ours": []}
    if CaptionerDirectory.read(model).is_compact:
        times["ours, first call ever"] = []
    for _ in range(rounds):
        times["Keras"].append(predict(model, photo, "--backend", "keras")[0])
        times["ours"].append(predict(model, photo)[0])
        if "ours, first call ever" in times:
            with tempfile.TemporaryDirectory() as home:
                empty = {"HOME": home, "XDG_CACHE_HOME": str(Path(home, ".cache"))}
                times["ours, first call ever"].append(predict(model, photo, **empty)[0])
    medians = {name: statistics.median(each) for name, each in times.items()}
    print("| one photo, whole process | seconds, median | least | times as fast |\n|---|---|---|---|")
    for name, median in medians.items():
        print(f"| {name} | {median:.2f} | {min(times[name]):.2f} | {medians['Keras'] / median:.1f} |")
    print()


def whole_folder(model: Path, folder: Path, photos: list[Path], rounds: int) -> None:
    """Time the folder's whole process and the bare encoders, in turn."""
    captioner = Captioner.load(model)
    size = captioner.encoder.image_size
    images = [preprocess(open_photo(photo), size) for photo in photos[:BATCH_SIZE]]

    def side_by_side(encoder: Encoder) -> None:
        with ThreadPoolExecutor(available_cores()) as pool:
            list(pool.map(lambda at: encoder(images[at % BATCH_SIZE], True), range(len(photos))))

    works: dict[str, Callable[[], object]] = {
        "LiteRT": lambda: side_by_side(captioner.encoder),
        "TensorFlow": in_tensorflow(CaptionerDirectory.read(model).config.encoder, np.stack(images), len(photos)),
    }
    exact = Captioner.load(model, precision="float32").encoder
    works["LiteRT, float32"] = lambda: side_by_side(exact)
    times: dict[str, list[float]] = {name: [] for name in (*works, "predict.py photos/")}
    megabytes = 0.0
    for work in works.values():
        work()
    for number in range(rounds):
        for name, work in works.items():
            times[name].append(seconds(work))
        output = folder.parent / f"captions-{number}.csv"
        took, used = predict(model, folder, "--format", "csv", "--output", output)
        times["predict.py photos/"].append(took)
        megabytes = max(megabytes, used)
    medians = {name: statistics.median(each) for name, each in times.items()}
    print(
        f"| {len(photos)} photos | photos a second | {' | '.join(f'of {name}' for name in works)} | peak memory, MB |"
    )
    print("|---" * (len(works) + 3) + "|")
    for name, median in medians.items():
        label, memory = (f"bare encoder, {name}", "") if name in works else (name, f"{megabytes:.0f}")
        shares = " | ".join(f"{medians[work] / median:.0%}" for work in works)
        print(f"| {label} | {len(photos) / median:.1f} | {shares} | {memory} |")
    print(f"\nThe fastest bare encoder here: {min(works, key=lambda name: medians[name])}.\n")


def in_tensorflow(config: EncoderConfig, images: np.ndarray, count: int) -> Callable[[], object]:
    """Return what reads `count` images through the encoder in TensorFlow; the weights make no difference."""
    import tensorflow as tf

    from captioner.models.encoder import build_encoder

    encoder = build_encoder(config, weights=None)
    encode = tf.function(lambda batch: encoder(batch, training=False), autograph=False)
    sizes = [min(BATCH_SIZE, count - first) for first in range(0, count, BATCH_SIZE)]
    return lambda: [encode(images[:size]).numpy() for size in sizes]


def search(model: Path, photo: Path, rounds: int) -> None:
    """Time the search for one photo."""
    captioner = Captioner.load(model)
    features = captioner.encoder(preprocess(open_photo(photo), captioner.encoder.image_size))[None]
    max_length = captioner.decoding.max_length
    print("| search, one photo | ms, median | least |\n|---|---|---|")
    for width in sorted({1, 5, captioner.decoding.beam_width}):
        decoding = DecodingConfig(width, captioner.decoding.length_penalty, max_length)
        times = [seconds(partial(generate, captioner.network, features, decoding)) for _ in range(20 * rounds)]
        print(f"| width {width} | {1000 * statistics.median(times):.1f} | {1000 * min(times):.1f} |")


def search_together(model: Path, photos: list[Path], rounds: int) -> None:
    """Time the search for 96 photos, so many at once."""
    captioner = Captioner.load(model)
    features = np.stack([np.asarray(seen) for _, seen in captioner.features(photos[:96])])
    spent: dict[int, list[float]] = {size: [] for size in (1, 8, 16, 24, 32, 48)}
    for _ in range(rounds):
        for size, times in spent.items():
            begun = time.process_time()
            for first in range(0, len(features), size):
                generate(captioner.network, features[first : first + size], captioner.decoding)
            times.append(1000 * (time.process_time() - begun) / len(features))
    print("\n| search, photos at once | ms of a core per photo, median | least |\n|---|---|---|")
    for size, times in spent.items():
        print(f"| {size} | {statistics.median(times):.1f} | {min(times):.1f} |")


def encoders(model: Path, photo: Path, rounds: int) -> None:
    """Time both encoders on one photo; the weights make no difference, so InceptionV3's are random."""
    from captioner.export.litert import convert_encoder
    from captioner.models.encoder import build_encoder

    with stderr_closed():
        inception = LiteRTEncoder(convert_encoder(build_encoder(EncoderConfig(), weights=None)))
    networks = {"InceptionV3": inception, f"that of {model.name}": Captioner.load(model).encoder}
    times: dict[str, list[float]] = {name: [] for name in networks}
    images = {name: preprocess(open_photo(photo), each.image_size) for name, each in networks.items()}
    for _ in range(20 * rounds):
        for name, encoder in networks.items():
            times[name].append(seconds(partial(encoder, images[name])))
    medians = {name: statistics.median(each) for name, each in times.items()}
    print("\n| encoder, one photo | ms, median | least | times as fast |\n|---|---|---|---|")
    for name, median in medians.items():
        ratio = medians["InceptionV3"] / median
        print(f"| {name} | {1000 * median:.1f} | {1000 * min(times[name]):.1f} | {ratio:.1f} |")


def predict(model: Path, *arguments: object, **environment: str) -> tuple[float, float]:
    """Run predict.py: how long it took, in seconds, and the most memory it held, in MB."""
    return process("predict.py", "--model", model, *arguments, **environment)


def process(script: str, *arguments: object, **environment: str) -> tuple[float, float]:
    """Run a script of the project: how long it took, in seconds, and the most memory it held, in MB."""
    found = subprocess.run(
        [sys.executable, "-c", MEASURE, sys.executable, str(ROOT / script), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"} | environment,
    )
    if found.returncode:
        raise SystemExit(f"{script} failed")
    took, kilobytes = map(float, found.stdout.split())
    return took, kilobytes / 1000


if __name__ == "__main__":
    main()

"""What int8 costs in captions: dev scores with the encoder in float32, rounded plainly, and rounded by GPTQ.

GPTQ is fitted to three sets of 48 training photos, drawn with seeds 0 to 2. The decoder and the search are the same for
all. Differences come with 95% intervals by paired bootstrap over the photos.

    python benchmarks/int8.py --model saved_models/flickr8k --encoder-weights FILE
"""

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from paired import paired_interval

from captioner.data.flickr8k import find_or_download
from captioner.decoding.captions import generate
from captioner.export.litert import convert_encoder
from captioner.export.template import find_slots
from captioner.metrics.bleu import bleu
from captioner.metrics.cider import CiderD
from captioner.model_files.encoder_weights import default_encoder_weights
from captioner.model_files.roundings import kernel_key
from captioner.models.folding import convolutions
from captioner.models.networks import load_networks
from captioner.photos.opening import open_photo
from captioner.photos.preprocessing import preprocess
from captioner.runtime.captioner import AT_ONCE
from captioner.runtime.decoder import DecoderNetwork
from captioner.runtime.encoder import LiteRTEncoder
from captioner.system.cores import available_cores
from captioner.system.prefetch import prefetch_map
from captioner.system.progress import progress_bar
from captioner.text import normalise
from captioner.training.fitting.gptq import find_roundings

SETS, PHOTOS = 3, 48


def main() -> None:
    """Score all ways, and print them as a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a model directory")
    parser.add_argument("--encoder-weights", default=default_encoder_weights(), help="a Keras weights file")
    parser.add_argument("--limit", type=int, help="so many dev photos alone")
    arguments = parser.parse_args()
    saved, encoder = load_networks(arguments.model, arguments.encoder_weights)
    size = saved.config.encoder.image_size
    dataset = find_or_download(None)
    dev = dataset.split("dev")[: arguments.limit]
    references = [[normalise(caption) for caption in example.captions] for example in dev]
    cider = CiderD(references)
    decoder = DecoderNetwork(saved.config.decoder, saved.network.named_weights())

    def read(photo: Path) -> np.ndarray:
        return preprocess(open_photo(photo), size)

    def captions(features: np.ndarray) -> list[list[str]]:
        groups = [features[start : start + AT_ONCE] for start in range(0, len(features), AT_ONCE)]
        beams = prefetch_map(lambda group: generate(decoder, group, saved.config.decoding), groups, available_cores())
        return [saved.vocabulary.decode(beam[0].tokens) for group in beams for beam in group]

    def features(network: bytes) -> np.ndarray:
        litert = LiteRTEncoder(network)
        return encoded(lambda photo: litert(read(photo), single_threaded=True), [example.image for example in dev])

    original = convolutions(encoder)
    int8 = convert_encoder(encoder, int8=True)
    template = find_slots(int8, original)
    networks = {"float32": convert_encoder(encoder), "int8, plain rounding": int8}
    train = dataset.split("train")
    for seed in range(SETS):
        drawn = np.random.default_rng(seed).choice(len(train), PHOTOS, replace=False)
        found = find_roundings(encoder, np.stack([read(train[number].image) for number in drawn]), seed=seed)
        roundings = [found[kernel_key(each)] for each in original]
        networks[f"int8, GPTQ, photos {seed}"] = template.filled(original, roundings)
    rows, scores, exact = [], {}, None
    for name, network in networks.items():
        seen = features(network)
        exact = seen if exact is None else exact
        generated = captions(seen)
        scores[name] = cider.scores(generated)
        low, high = paired_interval(scores["float32"], scores[name])
        rows.append(
            {"encoder": name, "MB": len(network) / 1e6, "feature error": float(relative_rms(seen, exact))}
            | {"BLEU-4": 100 * bleu(generated, references)[3], "CIDEr-D": 100 * float(scores[name].mean())}
            | {"difference": 100 * float((scores[name] - scores["float32"]).mean()), "from": low, "to": high}
        )
        print(pd.DataFrame(rows).round(3).to_string(index=False), flush=True)
    fitted = np.mean([each for name, each in scores.items() if "GPTQ" in name], axis=0)
    low, high = paired_interval(scores["float32"], fitted)
    print(f"mean of GPTQ: {100 * float((fitted - scores['float32']).mean()):+.2f} [{low:.2f}, {high:.2f}] CIDEr-D")


def encoded(read: Callable[[Path], np.ndarray], photos: Sequence[Path]) -> np.ndarray:
    """Read photos, a core each -> (M, L, D)."""
    with ThreadPoolExecutor(available_cores()) as pool, progress_bar(total=len(photos), unit="photo") as bar:
        found = []
        for features in pool.map(read, photos):
            found.append(features)
            bar.update()
    return np.stack(found)


def relative_rms(found: np.ndarray, exact: np.ndarray) -> float:
    """Return the root mean square of the difference, as a share of that of the features."""
    return float(np.sqrt(np.square(found - exact).mean() / np.square(exact).mean()))


if __name__ == "__main__":
    main()

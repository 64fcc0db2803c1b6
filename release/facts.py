"""Measure what the documents say of a shipped model: `python -m release.facts flickr8k FILE`.

Of a captioning model the scores on dev, as `evaluate` finds them in float32 and as `predict` does in int8; the quarters
of captions by score; what captions are called, and how right they are; and its captions of the photos in `photos/`. Of
the character model, what the commands in the documents print. Writes one JSON file. The scores with the encoder in int8
go to `metrics.json` too, where the card takes them from.

Flickr8k comes from $CAPTIONER_DATA, InceptionV3's weights from $CAPTIONER_ENCODER_WEIGHTS.
"""

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as predict.py sets it

import numpy as np

from captioner import Captioner
from captioner.data.dataset import CaptionDataset, Example
from captioner.data.flickr8k import find_or_download
from captioner.errors import CaptionerError, PhotoError
from captioner.metrics.cider import CiderD
from captioner.metrics.content_words import share_confirmed
from captioner.metrics.score import score
from captioner.model_files.calibration import GUESS, PROBABLY, SURE, Calibration
from captioner.model_files.directory import CHAR_LM, model_kind
from captioner.model_files.encoder_weights import default_encoder_weights
from captioner.runtime.captioner import AT_ONCE
from captioner.system.files import read_json, write_json
from captioner.system.progress import progress_bar
from captioner.text import normalise

SAME_SCORE = 0.3
"""Scores x 100 of the same weights, on one processor and another, are no farther apart."""

TEXTS = {
    "romeo": 'python predict.py --prompt "ROMEO:" --length 134 --temperature 0.7 --seed 112',
    "king": 'python predict.py --prompt "The king " --suggest 5',
}
"""Commands in the documents that run the character model."""


def main() -> None:
    """Measure one model."""
    parser = argparse.ArgumentParser(
        prog="python -m release.facts", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="of a model in saved_models/")
    parser.add_argument("output", type=Path, help="the JSON file to write")
    arguments = parser.parse_args()
    directory = ROOT / "saved_models" / arguments.name
    try:
        facts = of_texts(directory) if model_kind(directory) == CHAR_LM else of_captions(directory)
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        write_json(arguments.output, facts)
    except (CaptionerError, OSError) as error:
        sys.exit(f"error: {error}")


def of_texts(directory: Path) -> dict[str, Any]:
    """Return the facts of a character model."""
    printed = {}
    for name, command in TEXTS.items():
        arguments = [sys.executable, *shlex.split(command)[1:], "--model", str(directory)]
        printed[name] = subprocess.run(arguments, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    metrics = read_json(directory / "metrics.json", "metrics")
    size = {"millions": metrics["parameters"] / 1e6, "minutes": metrics["training_seconds"] / 60}
    return {"metrics": metrics, "prints": printed, **size}


def of_captions(directory: Path) -> dict[str, Any]:
    """Return the facts of a captioning model, and note its scores in int8 in `metrics.json`.

    Raises:
        CaptionerError: the model, the data or the weights cannot be used, or the model is not calibrated.
    """
    dataset = find_or_download(None)
    captioner = Captioner.load(directory)
    if captioner.calibration is None:
        raise CaptionerError(f"{directory} has no confidence and familiarity; calibrate it first")
    predicted, lone = _as_predicted(captioner, captioner.calibration, dataset.split("dev"))
    alone = score(lone, [_normalised(example) for example in dataset.split("dev")])
    metrics = read_json(directory / "metrics.json", "metrics")
    int8 = {name: round(alone[name], 4) for name in ("bleu4", "cider")}
    if not same_digits(int8, metrics.get("int8", {})):
        metrics["int8"] = int8
        write_json(directory / "metrics.json", metrics)
    dev, captions = _as_evaluated(directory, dataset)
    check_metrics(directory / "metrics.json", metrics, dev["alone"])
    best, worst = metrics["examples"]["best"][0], metrics["examples"]["worst"][-1]
    parts = {path.name: path.stat().st_size / 1e6 for path in directory.iterdir()}
    return {
        "metrics": metrics,
        "examples": {"best": best, "median": metrics["examples"]["median"][0], "worst": worst},
        "dev": {**dev, "int8": alone},
        "same": float(np.mean([one == other for one, other in zip(lone, captions, strict=True)])),
        "gain": dev["chosen"]["cider"] - dev["alone"]["cider"] if "chosen" in dev else 0.0,
        "predicted": predicted,
        "doubt": vars(captioner.calibration.config),
        "consensus": vars(captioner.ngram_regression.config) if captioner.ngram_regression else {},
        "photos": _photos(captioner),
        "megabytes": {name.replace(".", "_"): size for name, size in parts.items()},
    }


def same_digits(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Return whether scores are alike as the card writes them; another processor changes later digits."""
    return {name: f"{value:.1f}" for name, value in one.items()} == {
        name: f"{value:.1f}" for name, value in other.items()
    }


def check_metrics(path: Path, metrics: Mapping[str, Any], found: Mapping[str, float]) -> None:
    """Compare the scores that a training wrote, which the card repeats, with those that are found now.

    Raises:
        CaptionerError: they differ by more than rounding on another processor explains.
    """
    for name, value in found.items():
        if abs(value - metrics[name]) > SAME_SCORE:
            raise CaptionerError(
                f"{path}: {name} is {metrics[name]:.2f}, but on dev the model has {value:.2f}; the weights are not "
                "those that were scored there. Write the scores of `captioner evaluate --json` to it"
            )


def _as_evaluated(directory: Path, dataset: CaptionDataset) -> tuple[dict[str, dict[str, float]], list[list[str]]]:
    """Return the scores of dev with the encoder in float32, alone and with consensus, and the captions found alone."""
    from captioner.models.networks import load_networks
    from captioner.training.evaluation import caption_split, with_consensus
    from captioner.training.inputs.split import read_split

    model, encoder = load_networks(directory, default_encoder_weights())
    split = read_split(dataset, "dev", encoder, model.config.encoder)
    beams = caption_split(model.network, split, model.config.decoding)
    alone = [model.vocabulary.decode(beam[0].tokens) for beam in beams]
    found = {"alone": score(alone, split.captions)}
    chosen = with_consensus(directory, model.vocabulary, beams, split)
    return {**found, "chosen": score(chosen, split.captions)} if chosen else found, alone


def _normalised(example: Example) -> list[list[str]]:
    return [normalise(each) for each in example.captions]


def _as_predicted(
    captioner: Captioner, known: Calibration, examples: Sequence[Example]
) -> tuple[dict[str, Any], list[list[str]]]:
    """Return what `predict` makes of dev, and the captions of the network alone, both with the default encoder.

    Raises:
        PhotoError: a photo cannot be read.
    """
    references = [_normalised(example) for example in examples]
    alone, words, scores, confidence = [], [], [], []
    lone = captioner.with_settings()
    lone.ngram_regression = None
    with progress_bar(
        captioner.features(example.image for example in examples), total=len(examples), desc="dev", unit="photo"
    ) as bar:
        read = iter(bar)
        while group := [_features(found) for _, found in islice(read, AT_ONCE)]:
            features = np.stack(group)
            alone += [captioner.vocabulary.decode(best.tokens) for best, *_ in lone.search(features)]
            for best, *_ in captioner.search(features):
                words.append(captioner.vocabulary.decode(best.tokens))
                scores.append(best.score)
                confidence.append(known.confidence(best.log_prob, best.length))
    shares = np.array([share_confirmed(*each) for each in zip(words, references, strict=True)])
    called = np.array([known.certainty(each) for each in confidence])
    found = {
        **score(words, references),
        "quarters": quarters(np.array(scores), CiderD(references).scores(words)),
        "certainty": certainty(called, shares),
    }
    return found, alone


def _features(found: np.ndarray | PhotoError) -> np.ndarray:
    if isinstance(found, PhotoError):
        raise found
    return found


def quarters(scores: np.ndarray, ciders: np.ndarray) -> dict[str, Any]:
    """Return the three `limits` of scores (N,) that part captions in quarters, and the CIDEr-D x 100 of each."""
    parts = np.array_split(np.argsort(scores, kind="stable"), 4)
    limits = [(scores[one[-1]] + scores[other[0]]) / 2 for one, other in pairwise(parts)]
    return {"limits": [float(each) for each in limits], "cider": [100 * float(ciders[each].mean()) for each in parts]}


def certainty(called: np.ndarray, shares: np.ndarray) -> dict[str, dict[str, float]]:
    """Return for what captions (N,) are called how many are, and of the shares (N,) right the mean and those of 1."""
    groups: Mapping[str, np.ndarray] = {
        **{name.replace(" ", "_"): called == name for name in (SURE, PROBABLY, GUESS)},
        "all": np.full(len(called), True),
    }
    return {
        name: {
            "captions": float(mine.mean()),
            "right": float(shares[mine].mean()) if mine.any() else 0.0,
            "all_right": float((shares[mine] == 1).mean()) if mine.any() else 0.0,
        }
        for name, mine in groups.items()
    }


def _photos(captioner: Captioner) -> dict[str, Any]:
    """Return what is said of the photos of this repository."""
    found = {}
    for path in sorted((ROOT / "photos").glob("*.jpg")):
        caption = captioner(path)
        found[path.stem] = {
            "caption": caption.text,
            "words": list(caption.words),
            "score": caption.score,
            "confidence": caption.confidence,
            "certainty": caption.certainty,
            "familiar": str(caption.familiar).lower(),
            "doubtful": str(caption.doubtful).lower(),
            "probabilities": np.asarray(caption.probabilities).tolist(),
        }
    return found


if __name__ == "__main__":
    main()

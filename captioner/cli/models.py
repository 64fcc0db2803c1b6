"""`models`: list the models that are here, and what they need."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from captioner.cli.main import complain
from captioner.cli.parser import Parser
from captioner.errors import CaptionerError
from captioner.model_files.encoder_weights import default_encoder_weights
from captioner.model_files.shipped import SHIPPED, model_directory, shipped_model, shown
from captioner.system.files import read_json

TRAINED = Path("saved_models")
"""Where `train` writes models without `--output`."""

HEADING = ("model", "kind", "size", "scores", "needs")

EXAMPLES = """\
The names of shipped models stand for their directories wherever a model is named:

  python predict.py photo.jpg --model compact
  python -m captioner evaluate --model flickr8k --split test

Scores are those of the last evaluation that the training made; docs/results.md has the test split's.
"""


def make_parser(program: str) -> argparse.ArgumentParser:
    """Describe the arguments."""
    return Parser(
        prog=program,
        description="List the models that come with Captioner, and those in saved_models: kind, size, scores, and what "
        "is missing to use them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def run(arguments: argparse.Namespace) -> int:
    """List the models."""
    status, rows = 0, [HEADING]
    for name, directory in _models():
        try:
            rows.append((name, *_about(directory)))
        except CaptionerError as error:
            complain(str(error))
            status = 1
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADING))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return status


def _models() -> Iterator[tuple[str, Path]]:
    """Yield the models by the names that `--model` takes: the shipped ones, and those beside them or in `TRAINED`."""
    for name in SHIPPED:
        if (model_directory(name) / "config.json").is_file():
            yield name, model_directory(name)
    known = {shipped_model(name).resolve() for name in SHIPPED}
    for folder in dict.fromkeys(path.resolve() for path in (shipped_model().parent, TRAINED)):
        for config in sorted(folder.glob("*/config.json")):
            if config.parent not in known:
                yield shown(config.parent), config.parent


def _about(directory: Path) -> tuple[str, str, str, str]:
    """Return the kind of a model, its size, its scores, and what it needs.

    Raises:
        CaptionerError: its configuration cannot be read.
    """
    from captioner.library import has_encoder
    from captioner.model_files.directory import CHAR_LM, CaptionerDirectory, model_kind

    size = sum(path.stat().st_size for path in directory.iterdir() if path.is_file())
    kind, needs = "characters", ""
    if model_kind(directory) != CHAR_LM:
        kind = "captions"
        if not has_encoder(CaptionerDirectory.read(directory), default_encoder_weights()):
            needs = "InceptionV3's weights, 87 MB: python -m captioner download encoder"
    return kind, f"{size / 1e6:.1f} MB", _scores(directory), needs or "nothing"


def _scores(directory: Path) -> str:
    """Return the scores in `metrics.json`, in words; "unknown" if it has none."""
    try:
        metrics = read_json(directory / "metrics.json", "metrics")
        return _in_words(metrics)
    except (CaptionerError, KeyError, TypeError, ValueError):
        return "unknown"


def _in_words(metrics: dict[str, Any]) -> str:
    unfinished = "" if metrics.get("finished", True) else ", unfinished"
    if "bits_per_char" in metrics:
        return f"{metrics['bits_per_char']:.2f} bits per character{unfinished}"
    return f"BLEU-4 {metrics['bleu4']:.1f}, CIDEr-D {metrics['cider']:.1f} on {metrics['split']}{unfinished}"

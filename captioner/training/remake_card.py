"""Write the card and the curve of a trained model again, from what its training recorded.

    python -m captioner.training.remake_card saved_models/mine

Both are made of `metrics.json`, `config.json` and `history.csv`, so that an older model gets a card of today without
another training. Nothing else is changed.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from captioner.config.options import given
from captioner.config.recipe import plan_runs, read_recipe
from captioner.config.training import CharTrainingConfig, TrainingConfig
from captioner.errors import CaptionerError
from captioner.model_files.directory import CHAR_LM, CaptionerDirectory, CharLMDirectory, model_kind
from captioner.plots import draw_text_curve, draw_training_curve
from captioner.system.files import read_json
from captioner.training.artifacts import CARD, CURVE, HISTORY, read_history
from captioner.training.card.caption_card import write_card
from captioner.training.card.char_card import write_char_card
from captioner.training.epoch_stages import with_stages
from captioner.training.lineage import imitation_epochs
from captioner.training.run import METRICS


def main() -> None:
    """Remake the card of the model directory that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="a model directory with the metrics of its training")
    try:
        remake_card(parser.parse_args().model)
    except (CaptionerError, OSError) as error:
        sys.exit(f"error: {error}")


def remake_card(directory: Path) -> None:
    """Write `README.md` of a model directory again, and `training.png` where there are epochs.

    Raises:
        CaptionerError: this is no model directory, its training is not finished, or its metrics do not say what it was
            trained on.
        OSError: the directory cannot be written to.
    """
    metrics = _read_metrics(directory / METRICS)
    (run,) = plan_runs(read_recipe(directory / METRICS), {})
    card, data = directory.resolve() / CARD, metrics["trained_on"]
    try:
        if model_kind(directory) == CHAR_LM:
            model = CharLMDirectory.read(directory).config
            write_char_card(card, data, model, CharTrainingConfig(**given(run.values, CharTrainingConfig)), metrics)
        else:
            settings = TrainingConfig(**given(run.values, TrainingConfig))
            write_card(card, data, CaptionerDirectory.read(directory).config, settings, metrics)
    except KeyError as error:
        raise CaptionerError(
            f"{directory / METRICS} lacks {error}, which the card needs; expected what a training wrote"
        ) from error
    if metrics["epochs"]:
        _redraw(directory, metrics)


def _redraw(directory: Path, metrics: dict[str, Any]) -> None:
    """Draw the epochs again."""
    try:
        history = read_history(directory / HISTORY, ("epoch",))
    except (OSError, ValueError) as error:
        raise CaptionerError(
            f"{directory / HISTORY} should be the table of epochs that a training wrote, but: {error}. Put the "
            "original back"
        ) from error
    if model_kind(directory) == CHAR_LM:
        draw_text_curve(directory / CURVE, history, metrics["best_epoch"])
        return
    earlier = max(row["epoch"] for row in history) - metrics["epochs"]
    history, best = with_stages(history, metrics), earlier + metrics["best_epoch"]
    draw_training_curve(directory / CURVE, history, best, metrics.get("imitation", ()))


def _read_metrics(path: Path) -> dict[str, Any]:
    """Read the metrics of a finished training, with the names of today.

    Raises:
        CaptionerError: they are missing, or lack something.
    """
    metrics = read_json(path, "metrics")
    if not isinstance(metrics, dict) or metrics.get("finished") is False:
        raise CaptionerError(f"{path}: expected the metrics of a finished training; run its train.py command again")
    if not isinstance(metrics.get("trained_on"), str):
        raise CaptionerError(f'{path} does not name the training data; add it, for instance "trained_on": "flickr8k"')
    return metrics | {"imitation": imitation_epochs(metrics)} if "imitation" in metrics else metrics


if __name__ == "__main__":
    main()

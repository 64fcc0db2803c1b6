"""What a training leaves beside the weights for people to read: its epochs, as table and curve, and the card."""

from pathlib import Path
from typing import Any

from captioner.config import ModelConfig
from captioner.files import atomic_write
from captioner.plots import draw_training_curve
from captioner.training.caption_run import CaptionRun
from captioner.training.card import write_card
from captioner.training.checkpoint import Progress

HISTORY, CURVE, CARD = "history.csv", "training.png", "README.md"


def write_artifacts(run: CaptionRun, model: ModelConfig, progress: Progress, metrics: dict[str, Any]) -> None:
    """Write how a captioning model came about: table and curve of the epochs, if there were any, and the card."""
    if metrics["epochs"]:
        write_history(run.output, progress)
        draw_training_curve(run.output / CURVE, progress.history, progress.best_epoch)
    write_card(run.output / CARD, run.dataset.name, model, run.training, metrics)


def write_history(output: Path, progress: Progress) -> None:
    """Write the figures of the epochs as a table."""
    import pandas as pd

    with atomic_write(output / HISTORY) as temporary:
        pd.DataFrame(progress.history).to_csv(temporary, index=False, float_format="%.6g")

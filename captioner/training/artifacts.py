"""The files beside the weights for people to read: the epochs as table and curve, and a first card."""

from pathlib import Path
from typing import Any

from captioner.files import atomic_write, write_text
from captioner.plots import draw_training_curve
from captioner.training.checkpoint import Progress

HISTORY, CURVE, CARD = "history.csv", "training.png", "README.md"


def write_epochs(output: Path, progress: Progress) -> None:
    """Write table and curve of the epochs of a captioning model, if there are any."""
    if progress.history:
        write_history(output, progress)
        draw_training_curve(output / CURVE, progress.history, progress.best_epoch)


def write_history(output: Path, progress: Progress) -> None:
    """Write the figures of the epochs as a table."""
    import pandas as pd

    with atomic_write(output / HISTORY) as temporary:
        pd.DataFrame(progress.history).to_csv(temporary, index=False, float_format="%.6g")


def write_draft_card(output: Path, metrics: dict[str, Any]) -> None:
    """Write the card of a model whose training is not finished."""
    epochs, best = metrics["epochs"], metrics["best_epoch"]
    kept = f"those after epoch {best}" if best else "those that the training started from"
    write_text(
        output / CARD,
        f"""# {output.name}: not finished

The training of this model has come to epoch {epochs}. The weights here are {kept}, the best so far, and can be used as
they are. The same `train.py` command resumes the training; at its end the search is chosen on the dev photos, the model
is scored, and this card is replaced.

`history.csv` and `training.png` show the epochs so far, `metrics.json` the figures of the best one and all settings.
""",
    )

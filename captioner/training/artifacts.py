"""The files that people read beside the weights: the table and curve of the epochs, and a first card."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from captioner.plots import draw_training_curve
from captioner.system.atomic import atomic_write
from captioner.system.files import write_text
from captioner.training.checkpoint import Progress

HISTORY, CURVE, CARD = "history.csv", "training.png", "README.md"


def write_epochs(output: Path, progress: Progress, imitation: Sequence[Mapping[str, Any]] = ()) -> None:
    """Write table and curve of the epochs of a captioning model, if there are any.

    Args:
        output: the model directory.
        progress: the epochs on captions.
        imitation: the epochs before them in which a compact encoder imitated its teacher; for the curve alone.
    """
    if progress.history:
        write_history(output, progress)
        draw_training_curve(output / CURVE, progress.history, progress.best_epoch, imitation)


def write_history(output: Path, progress: Progress) -> None:
    """Write the figures of the epochs as a table."""
    import pandas as pd

    table = pd.DataFrame(progress.history)
    names = sorted(table.columns, key=lambda name: (name != "epoch", name != "stage"))  # otherwise as they come
    with atomic_write(output / HISTORY) as temporary:
        table[names].to_csv(temporary, index=False, float_format="%.6g")


def read_history(path: Path, needed: Sequence[str]) -> list[dict[str, Any]]:
    """Read the table of epochs that a training wrote: whole numbers of epochs, names of stages, otherwise figures.

    Args:
        path: the table.
        needed: the columns that it must have.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such table.
    """
    import pandas as pd

    table = pd.read_csv(path, dtype=defaultdict(lambda: "float64", stage="object"))
    if missing := [name for name in needed if name not in table.columns]:
        raise ValueError(f"it has no column {', '.join(missing)}")
    rows = table.astype({"epoch": int}).to_dict("records")
    return [
        {str(name): value for name, value in row.items() if name != "stage" or isinstance(value, str)} for row in rows
    ]


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

"""The metrics and epochs of the model that a training starts from."""

from pathlib import Path
from typing import Any

from captioner.errors import CaptionerError
from captioner.files import read_json
from captioner.plots import LOSSES, SCORES
from captioner.training.artifacts import HISTORY
from captioner.training.checkpoint import Progress
from captioner.training.run import METRICS


def parent_metrics(base: Path) -> dict[str, Any] | None:
    """Return the metrics of the training of the model in directory `base`; None where there are none.

    Raises:
        CaptionerError: its metrics are no JSON.
    """
    if not (base / METRICS).is_file():
        return None
    metrics = read_json(base / METRICS, "metrics of --init-from")
    told = ("best_epoch", "epochs", "training_seconds", "settings")
    if not isinstance(metrics, dict) or any(name not in metrics for name in told):
        return None
    if not isinstance(metrics["settings"], dict):
        return None
    return {name: metrics[name] for name in told}


def parent_history(base: Path, metrics: dict[str, Any] | None, data: str) -> Progress:
    """Return the epochs of the model in `base`; none where they are unknown, or come from other photos.

    Args:
        base: its directory.
        metrics: what `parent_metrics` returns of it.
        data: the digest of the photos and captions that it goes on with.

    Raises:
        CaptionerError: its table of epochs is not one that a training writes.
    """
    if metrics is None or metrics["settings"].get("data") != data or not (base / HISTORY).is_file():
        return Progress()
    import pandas as pd

    try:
        table = pd.read_csv(base / HISTORY, dtype=float)
        missing = [name for name in ("epoch", *LOSSES, *SCORES) if name not in table.columns]
        if missing:
            raise ValueError(f"it has no column {', '.join(missing)}")
        rows = table.astype({"epoch": int}).to_dict("records")
    except (OSError, ValueError) as error:
        raise CaptionerError(
            f"{base / HISTORY} should be the table of epochs that a training wrote, but: {error}. Put the original "
            "back, or remove it to go on without"
        ) from error
    history = [{str(name): value for name, value in row.items()} for row in rows]
    epochs = max((int(row["epoch"]) for row in history), default=0)
    return Progress(epochs, epochs - metrics["epochs"] + metrics["best_epoch"], history)

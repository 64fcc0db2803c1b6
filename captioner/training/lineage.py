"""The metrics and epochs of the model that a training starts from."""

from pathlib import Path
from typing import Any

from captioner.errors import CaptionerError
from captioner.files import read_json
from captioner.plots import LOSSES, SCORES
from captioner.training.artifacts import HISTORY, read_history
from captioner.training.checkpoint import Progress
from captioner.training.epoch_stages import of_parent, with_stages
from captioner.training.run import METRICS


def parent_metrics(base: Path) -> dict[str, Any] | None:
    """Return the metrics of the training of the model in directory `base`; None where there are none.

    Raises:
        CaptionerError: its metrics are no JSON.
    """
    if not (base / METRICS).is_file():
        return None
    metrics = read_json(base / METRICS, "metrics of --init-from")
    told = ("best_epoch", "epochs", "training_seconds", "settings")  # and `imitation`, where there is one
    if not isinstance(metrics, dict) or any(name not in metrics for name in told):
        return None
    if not isinstance(metrics["settings"], dict):
        return None
    return {name: metrics[name] for name in (*told, "imitation") if name in metrics}


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
    try:
        history = read_history(base / HISTORY, ("epoch", *LOSSES, *SCORES))
    except (OSError, ValueError) as error:
        raise CaptionerError(
            f"{base / HISTORY} should be the table of epochs that a training wrote, but: {error}. Put the original "
            "back, or remove it to go on without"
        ) from error
    epochs = max((row["epoch"] for row in history), default=0)
    history = of_parent(with_stages(history, metrics), base.resolve().name)
    return Progress(epochs, epochs - metrics["epochs"] + metrics["best_epoch"], history)

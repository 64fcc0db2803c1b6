"""The metrics and epochs of the model that a training starts from."""

from pathlib import Path
from typing import Any

from captioner.errors import CaptionerError
from captioner.plots import LOSSES, SCORES
from captioner.system.files import read_json
from captioner.training.artifacts import HISTORY, read_history
from captioner.training.checkpoint import Progress
from captioner.training.epoch_stages import of_parent, with_stages
from captioner.training.run import METRICS

FORMER_NAMES = {"places": "regions", "dev_places": "dev_regions"}
"""What earlier versions called the figures of an imitation."""


def parent_metrics(base: Path) -> dict[str, Any] | None:
    """Return the metrics of the training of the model in directory `base`; None where there are none.

    Raises:
        CaptionerError: its metrics are no JSON.
    """
    if not (base / METRICS).is_file():
        return None
    metrics = read_json(base / METRICS, "metrics of --init-from")
    required = ("best_epoch", "epochs", "training_seconds", "settings")  # and `imitation`, where there is one
    if not isinstance(metrics, dict) or any(name not in metrics for name in required):
        return None
    if not isinstance(metrics["settings"], dict):
        return None
    kept = {name: metrics[name] for name in required}
    return kept | {"imitation": imitation_epochs(metrics)} if "imitation" in metrics else kept


def imitation_epochs(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the epochs of an imitation from metrics, each figure by its present name.

    None are returned if the metrics hold something else than a training writes.
    """
    rows = metrics["imitation"]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return []
    rows = [{FORMER_NAMES.get(name, name): value for name, value in row.items()} for row in rows]
    required = {"dev_regions", "dev_keys", "dev_mean"}
    return rows if all(required <= row.keys() for row in rows) else []


def parent_history(base: Path, metrics: dict[str, Any] | None, data: str) -> Progress:
    """Return the epochs of the model in `base`; none where they are unknown, or come from other photos.

    Args:
        base: its directory.
        metrics: what `parent_metrics` returns of it.
        data: the digest of the photos and captions of this training.

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
            "back, or remove it to continue without"
        ) from error
    epochs = max((row["epoch"] for row in history), default=0)
    history = of_parent(with_stages(history, metrics), base.resolve().name)
    return Progress(epochs, epochs - metrics["epochs"] + metrics["best_epoch"], history)

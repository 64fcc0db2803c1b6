"""The stage of each epoch, as the column `stage` of `history.csv` has it.

An epoch of the model that a training started from has that model's name before the stage: `pupil: fine_tuning`.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from captioner.config.model import COMPACT

CROSS_ENTROPY, FINE_TUNING, SELF_CRITICAL, JOINT = "cross_entropy", "fine_tuning", "self_critical", "joint"
OF = ": "
"""What stands between the name of a model and that of its stage."""

Rows = Sequence[Mapping[str, Any]]


def of_parent(history: Rows, name: str) -> list[dict[str, Any]]:
    """Return the epochs of the model `name` as those of one that started from it; its own ancestors keep theirs."""
    rows = []
    for row in history:
        stage = row.get("stage", "")
        called = stage if OF in stage else f"{name}{OF}{stage}" if stage else name
        rows.append({**row, "stage": called})
    return rows


def with_stages(history: Rows, metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return epochs with their stages; where the table was written without them, as far as the metrics have them.

    Args:
        history: rows by epoch, first those of the model that the training started from, if they are there.
        metrics: the training's `epochs` and `settings`, and the same of the model before it as `before`.
    """
    rows = [dict(row) for row in history]
    if any("stage" in row for row in rows):
        return rows
    settings, before = metrics["settings"], metrics.get("before")
    earlier = max((row["epoch"] for row in rows), default=0) - metrics["epochs"]
    own = [_with_stage(row, settings) for row in rows if row["epoch"] > earlier or not earlier]
    if not earlier or not settings.get("init_from"):
        return [*(row for row in rows if earlier and row["epoch"] <= earlier), *own]
    first = [row for row in rows if row["epoch"] <= earlier]
    if before and before.get("epochs") == earlier:
        first = [_with_stage(row, before["settings"]) for row in first]
    return [*of_parent(first, Path(settings["init_from"]).name), *own]


def _with_stage(row: dict[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Add the stage of an epoch where its figures and the settings leave no doubt."""
    if settings.get("network") == COMPACT:
        return {**row, "stage": JOINT}
    if not math.isnan(row.get("reward", math.nan)):
        return {**row, "stage": SELF_CRITICAL}
    needs = {CROSS_ENTROPY: "epochs", FINE_TUNING: "fine_tune_epochs"}
    stages = [stage for stage, name in needs.items() if settings.get(name)] or [SELF_CRITICAL]
    return {**row, "stage": stages[0]} if len(stages) == 1 else row

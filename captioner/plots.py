"""Matplotlib's pictures: how a training went, and photos with their captions."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from captioner.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure


LOSSES = {"cross_entropy": "training, with dropout", "dev_cross_entropy": "dev"}
SCORES = {"bleu1": "BLEU-1", "bleu4": "BLEU-4", "rouge_l": "ROUGE-L", "cider": "CIDEr-D"}
"""What the training curve shows of an epoch, and how it is called there."""


def draw_training_curve(path: Path, history: Sequence[dict[str, float]], best_epoch: int) -> None:
    """Draw losses and dev scores by epoch, the best epoch marked, as a PNG."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    epochs = [row["epoch"] for row in history]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    losses, scores = figure.subplots(1, 2)
    for key, label in LOSSES.items():
        losses.plot(epochs, [row.get(key, math.nan) for row in history], marker=".", label=label)
    losses.set(xlabel="epoch", ylabel="nats a word", title="Cross-entropy")
    for key, label in SCORES.items():
        scores.plot(epochs, [row.get(key, math.nan) for row in history], marker=".", label=label)
    scores.axvline(best_epoch, color="grey", linestyle=":", label="kept")
    scores.set(xlabel="epoch", ylabel="score x 100", title="Captions of the dev photos")
    losses.legend(fontsize=8)
    scores.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    for axes in (losses, scores):
        axes.grid(alpha=0.3)
        axes.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _save(figure, path)


def draw_text_curve(path: Path, history: Sequence[dict[str, float]], best_epoch: int) -> None:
    """Draw a language model's losses by epoch, the best epoch marked, as a PNG."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    epochs = [row["epoch"] for row in history]
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    for key, label in (("nats_per_char", "training, with dropout"), ("validation_nats_per_char", "validation")):
        axes.plot(epochs, [row.get(key, math.nan) for row in history], marker=".", label=label)
    axes.axvline(best_epoch, color="grey", linestyle=":", label="kept")
    axes.set(xlabel="epoch", ylabel="nats a character", title="Cross-entropy", xlim=(0.5, max(epochs) + 0.5))
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _save(figure, path)


def draw_gallery(path: Path, rows: Sequence[tuple[str, Sequence[tuple[np.ndarray, str]]]]) -> None:
    """Draw photos with texts below them, in titled rows.

    Args:
        path: the picture to write; its suffix chooses the format.
        rows: the title of each, and its photos uint8 (H, W, 3) with their texts.
    """
    from matplotlib.figure import Figure

    columns = max(len(photos) for _, photos in rows)
    figure = Figure(figsize=(3.4 * columns, 3.9 * len(rows)), layout="constrained")
    for part, (title, photos) in zip(figure.subfigures(len(rows), 1, squeeze=False)[:, 0], rows, strict=True):
        part.suptitle(title, fontsize=13)
        for axes in part.subplots(1, columns, squeeze=False)[0]:
            axes.axis("off")
        for axes, (photo, text) in zip(part.axes, photos, strict=False):
            axes.imshow(photo)
            axes.text(0.5, -0.03, text, transform=axes.transAxes, fontsize=9, ha="center", va="top", wrap=False)
    _save(figure, path)


def _save(figure: "Figure", path: Path) -> None:
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=110)

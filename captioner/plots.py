"""Plots with Matplotlib: training curves, and photos with their captions."""

import io
import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from captioner.system.atomic import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


LOSSES = {"cross_entropy": "training, with dropout", "dev_cross_entropy": "dev"}
SCORES = {"bleu1": "BLEU-1", "bleu4": "BLEU-4", "rouge_l": "ROUGE-L", "cider": "CIDEr-D"}
"""What the training curve shows of an epoch, and how it is called there."""

IMITATION = {"dev_regions": "regions", "dev_keys": "attention keys", "dev_mean": "mean region"}
"""What it shows of an epoch in which a compact encoder imitates its teacher."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
MARKERS = ("o", "s", "^", "D")
"""From the palette of Okabe and Ito, which colour-blind readers can tell apart; the markers help in print."""

DPI = 110

LABEL_POINTS, LONGEST_LABEL, MOST_STAGES = 10, 32, 20
"""The height of a stage's label, its most letters, and the most stages that are marked."""

Rows = Sequence[Mapping[str, Any]]


def draw_training_curve(path: Path, history: Rows, best_epoch: int, imitation: Rows = ()) -> None:
    """Draw losses and dev scores by epoch as a PNG; see `training_curve`."""
    _save_curve(training_curve(history, best_epoch, imitation), path)


def training_curve(history: Rows, best_epoch: int, imitation: Rows = ()) -> "Figure":
    """Return the losses and dev scores by epoch, the best epoch and the stages marked.

    Args:
        history: a row of figures for each epoch; `stage`, where it is known, names the stage.
        best_epoch: the one whose weights were kept.
        imitation: rows of the epochs in which a compact encoder imitated its teacher, which get their own panel.
    """
    from matplotlib.figure import Figure

    spans = stage_spans(history)
    if len(spans) > MOST_STAGES:  # a table that no training wrote
        spans = []
    height = 3.6 + LABEL_POINTS / 72 * len(spans)
    panels = 3 if imitation else 2
    figure = Figure(figsize=(9 if panels == 2 else 12, height), layout="constrained")
    *first, losses, scores = figure.subplots(1, panels)
    for axes in first:
        _plot(axes, imitation, IMITATION)
        axes.set(xlabel="epoch of the imitation", ylabel="unexplained share of the variance")
        axes.set_title("What the teacher sees in dev photos", pad=_pad(spans))
        axes.legend(fontsize=8)
        _mark_stages(axes, stage_spans([{**row, "stage": "imitation"} for row in imitation]))
    _plot(losses, history, LOSSES)
    losses.set(xlabel="epoch", ylabel="nats a word")
    losses.set_title("Cross-entropy", pad=_pad(spans))
    _plot(scores, history, SCORES)
    _mark_best(scores, best_epoch)
    scores.set(xlabel="epoch", ylabel="score x 100")
    scores.set_title("Captions of the dev photos", pad=_pad(spans))
    for axes in (losses, scores):
        _mark_stages(axes, spans)
    losses.legend(fontsize=8)
    scores.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def stage_spans(history: Rows) -> list[tuple[str, float, float]]:
    """Return the stages in their order: the label of each, and where it begins and ends on the axis of epochs."""
    spans: list[tuple[str, float, float]] = []
    for name, rows in itertools.groupby(history, key=lambda row: row.get("stage")):
        if name:
            epochs = [row["epoch"] for row in rows]
            spans.append((_label(str(name)), min(epochs) - 0.5, max(epochs) + 0.5))
    return spans


def draw_text_curve(path: Path, history: Rows, best_epoch: int) -> None:
    """Draw a language model's losses by epoch, the best epoch marked, as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    _plot(axes, history, {"nats_per_char": "training, with dropout", "validation_nats_per_char": "validation"})
    _mark_best(axes, best_epoch)
    axes.set(xlabel="epoch", ylabel="nats a character", title="Cross-entropy")
    axes.legend(fontsize=8)
    _save_curve(figure, path)


def _plot(axes: "Axes", history: Rows, lines: Mapping[str, str]) -> None:
    """Draw figures by epoch, a line for each."""
    from matplotlib.ticker import MaxNLocator

    epochs = [row["epoch"] for row in history]
    for (key, label), colour, marker in zip(lines.items(), COLOURS, MARKERS, strict=False):
        values = [row.get(key, math.nan) for row in history]
        axes.plot(epochs, values, color=colour, marker=marker, markersize=3, label=label)
    axes.grid(alpha=0.3)
    axes.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _mark_best(axes: "Axes", epoch: int) -> None:
    axes.axvline(epoch, color="black", linestyle=":", label="kept")


def _mark_stages(axes: "Axes", spans: Sequence[tuple[str, float, float]]) -> None:
    """Shade every other stage, and write their names above.

    Each name begins where its stage does, on a separate line below the one before, so that no name covers another.
    """
    for number, (label, begin, end) in enumerate(spans):
        if number % 2:
            axes.axvspan(begin, end, color="black", alpha=0.07, linewidth=0)
        axes.annotate(
            label,
            (begin, 1),
            xycoords=axes.get_xaxis_transform(),
            xytext=(0, 2 + LABEL_POINTS * (len(spans) - 1 - number)),
            textcoords="offset points",
            ha="left",
            va="bottom",
            fontsize=8,
            parse_math=False,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": "grey",
                "linewidth": 0.8,
                "relpos": (0, 1),
                "shrinkA": 0,
                "shrinkB": 0,
            },
        )


def _pad(spans: Sequence[object]) -> float:
    """Return how far a title stands above its axes, in points, to leave room for the labels of stages."""
    return 6.0 + LABEL_POINTS * len(spans)


def _label(stage: str) -> str:
    """Return a stage as the curve names it: `pupil: fine_tuning` as "pupil: fine-tuning".

    A name with letters that Matplotlib's own font may not have is left out.
    """
    model, _, name = stage.rpartition(": ")
    if not model.isascii() or not model.isprintable():
        model = "model before"
    if not name.isascii() or not name.isprintable():
        name = "model before"
    label = f"{model}: {name.replace('_', '-')}" if model else name.replace("_", "-")
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 3]}..."


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
        figure.savefig(temporary, dpi=DPI)


def _save_curve(figure: "Figure", path: Path) -> None:
    """Write a picture of lines as a PNG with a palette, half as large: it is kept beside the weights."""
    from PIL import Image

    with io.BytesIO() as drawn:
        figure.savefig(drawn, format="png", dpi=DPI)
        with Image.open(drawn) as image:
            palette = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    with atomic_write(path) as temporary:
        palette.save(temporary, format="PNG", optimize=True)

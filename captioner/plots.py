"""Pictures for people: how a training went, and where a model looked."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from captioner.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_training_curve(path: Path, history: Sequence[dict[str, float]], best_epoch: int) -> None:
    """Draw losses and dev scores by epoch, the best epoch marked, as a PNG."""
    from matplotlib.figure import Figure

    epochs = [row["epoch"] for row in history]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    losses, scores = figure.subplots(1, 2)
    for key, label in (("cross_entropy", "training, with dropout"), ("dev_cross_entropy", "dev")):
        losses.plot(epochs, [row[key] for row in history], marker=".", label=label)
    losses.set(xlabel="epoch", ylabel="nats a word", title="Cross-entropy")
    for key, label in (("bleu1", "BLEU-1"), ("bleu4", "BLEU-4"), ("rouge_l", "ROUGE-L"), ("cider", "CIDEr-D")):
        scores.plot(epochs, [row[key] for row in history], marker=".", label=label)
    scores.axvline(best_epoch, color="grey", linestyle=":", label="kept")
    scores.set(xlabel="epoch", ylabel="score x 100", title="Captions of the dev photos")
    for axes in (losses, scores):
        axes.legend(fontsize=8)
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    _save(figure, path)


def draw_attention(path: Path, photo: np.ndarray, words: Sequence[str], attention: np.ndarray) -> None:
    """Draw the photo, and for each word where the model looked before it said it.

    Args:
        path: the picture to write; its suffix chooses the format.
        photo: uint8 (H, W, 3).
        words: T words.
        attention: (T, L), weights over a square grid of L places.
    """
    from matplotlib.figure import Figure

    side = int(np.sqrt(attention.shape[1]))
    height, width = photo.shape[:2]
    columns = min(5, len(words) + 1)
    rows = -(-(len(words) + 1) // columns)
    tile = 2.4
    figure = Figure(
        figsize=(tile * columns, rows * (tile * min(1.5, max(0.5, height / width)) + 0.35)), layout="constrained"
    )
    tiles = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in tiles:
        axes.axis("off")
    tiles[0].imshow(photo)
    for axes, word, weights in zip(tiles[1:], words, attention, strict=False):
        axes.imshow(photo)
        axes.imshow(
            weights.reshape(side, side),
            cmap="inferno",
            alpha=0.6,
            interpolation="bicubic",
            extent=(-0.5, width - 0.5, height - 0.5, -0.5),
        )
        axes.set_title(word, fontsize=12)
    _save(figure, path)


def _save(figure: "Figure", path: Path) -> None:
    with replacing(path) as beside:
        figure.savefig(beside, dpi=110)

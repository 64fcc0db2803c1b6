"""Pictures for people: how a training went, and where a model looked."""

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

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


ATTENTION_OPACITY = 0.6
"""How `attention_colours` lies over a photo."""


def attention_colours(weights: np.ndarray, size: int) -> np.ndarray:
    """Colour where a model looked before a word, smoothly: black is no attention, yellow the most of any place.

    Args:
        weights: (L,), over a square grid of L places, row by row.
        size: pixels a side.

    Returns:
        uint8 (size, size, 3), to be stretched over the photo and laid on it with `ATTENTION_OPACITY`.
    """
    side = math.isqrt(weights.size)
    grid = np.asarray(weights, np.float32).reshape(side, side)
    share = Image.fromarray(grid / max(grid.max(), np.finfo(np.float32).tiny))
    smooth = np.asarray(share.resize((size, size), Image.Resampling.BICUBIC))
    return _inferno()[np.rint(smooth.clip(0, 1) * 255).astype(np.uint8)]


_INFERNO = """
000003 01010b 040316 090621 0f092d 160b39 1d0c45 260b50 2e0a5a 370961 400966 480b6a 500d6c
58106d 60136e 68166e 70196e 781c6d 801f6b 88216a 902468 982765 a02a62 a72d5f af315b b73456
be3852 c53d4d cc4148 d24742 d94d3d de5337 e45a31 e8612b ed6825 f0701e f37918 f68111 f88a0b
fa9306 fb9d06 fba60b fbb014 fbb91e f9c32a f8cd37 f5d745 f3e056 f1e968 f1f27d f5f891 fcfea4
"""
"""Every fifth of the 256 colours of the colour map inferno (van der Walt and Smith, CC0)."""


@cache
def _inferno() -> np.ndarray:
    """The colour map of that name, uint8 (256, 3), to within 1.

    Matplotlib has it too, but makes a folder for temporary files when it is imported where there is no home.
    """
    fifths = np.frombuffer(bytes.fromhex(_INFERNO), np.uint8).reshape(-1, 3)
    places = np.arange(len(fifths)) * 5
    return np.stack([np.interp(np.arange(256), places, each) for each in fifths.T], axis=1).round().astype(np.uint8)


def draw_attention(path: Path, photo: np.ndarray, words: Sequence[str], attention: np.ndarray) -> None:
    """Draw the photo, and for each word where the model looked before it said it.

    Black is no attention, yellow the most that any place has before this word.

    Args:
        path: the picture to write; its suffix chooses the format.
        photo: uint8 (H, W, 3).
        words: T words.
        attention: (T, L), weights over a square grid of L places.
    """
    from matplotlib.figure import Figure

    height, width = photo.shape[:2]
    tiles = len(words) + 1
    columns = min(range(min(4, tiles), min(7, tiles) + 1), key=lambda columns: (-tiles % columns, abs(columns - 5.5)))
    rows = -(-tiles // columns)
    gap, tile = 0.1, 2.4  # inches
    tall = tile * min(1.6, max(0.3, height / width))
    right, down = tile + gap, tall + 0.35  # from tile to tile; above each stands its word
    figure = Figure(figsize=(columns * right + gap, rows * down + gap))
    small = Image.fromarray(photo)
    small.thumbnail((640, 640))
    for number in range(tiles):
        row, column = divmod(number, columns)
        corner = (gap + column * right, (rows - 1 - row) * down + gap)
        box = np.array([*corner, tile, tall]) / np.tile(figure.get_size_inches(), 2)
        axes = figure.add_axes(tuple(box))
        axes.axis("off")
        axes.imshow(small, extent=(0, width, height, 0))
        if number == 0:
            continue
        axes.imshow(
            attention_colours(attention[number - 1], 256),
            alpha=ATTENTION_OPACITY,
            extent=(0, width, height, 0),
        )
        word = words[number - 1]
        axes.set_title(word, fontsize=min(12, 240 / len(word)))
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

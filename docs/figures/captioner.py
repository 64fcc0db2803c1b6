"""How a photo becomes a sentence: the encoder once, then attention, the recurrence and a word at each step."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from docs.figures.style import BACKWARD, GREY, HIDDEN, INK, INPUT, OUTPUT, arrow, box, drawing, new_figure, save

WORDS = ("a", "man", "holds")
FIRST, APART = 6.3, 2.6
"""The first step's place, and the distance from step to step; drawing units."""

ATTENTION, STATE, WORD = 1.75, 3.2, 4.65
"""How high attention, states and words lie."""

REGIONS, BUS = 2.3, 0.45
"""How high the regions leave the grid, and how high they run below the steps."""


def draw(folder: Path) -> list[Path]:
    """Draw the encoder on the left, and three steps of the decoder beside it."""
    figure = new_figure(4.1)
    axes = figure.subplots()
    drawing(axes, 13.6, 6.0)
    axes.text(0.2, 5.75, "Once per photo", fontweight="bold", fontsize=11.5, va="center")
    axes.text(4.6, 5.75, "For each word", fontweight="bold", fontsize=11.5, va="center")
    axes.plot([4.2, 4.2], [0.15, 5.9], color=GREY, linewidth=0.9, linestyle=":")
    _encoder(axes)
    for step, word in enumerate(WORDS):
        _step(axes, FIRST + step * APART, word, f"“{WORDS[step - 1]}”" if step else "start")
    for height in (ATTENTION, STATE, WORD):
        axes.text(13.3, height, "…", ha="center", va="center", fontsize=16, color=GREY)
    return [save(figure, folder / "captioner.svg")]


def _encoder(axes: Axes) -> None:
    """Draw the way from the photo to 64 regions, and on to the first state and to the attention."""
    middle, side = 1.65, 0.2
    box(axes, middle, 5.15, "photo, 299 x 299", INPUT, 2.9, 0.55)
    arrow(axes, (middle, 4.87), (middle, 4.57))
    box(axes, middle, 4.17, "InceptionV3\nup to mixed8", OUTPUT, 2.9, 0.8)
    arrow(axes, (middle, 3.77), (middle, 3.45))
    for row in range(8):
        for column in range(8):
            corner = (middle + (column - 4) * side, 1.82 + row * side)
            axes.add_patch(Rectangle(corner, side, side, facecolor="#F4F4F4", edgecolor=GREY, linewidth=0.7))
    axes.text(middle, 1.62, "8 x 8 regions,\n512 numbers each", ha="center", va="top", fontsize=10, color=INK)
    edge = middle + 4 * side
    arrow(axes, (edge, STATE), (FIRST - 0.76, STATE), HIDDEN, width=2.2)
    axes.text(3.3, STATE + 0.17, "mean", ha="center", color=HIDDEN, fontsize=10)
    axes.text(4.85, STATE + 0.2, "$h_0$", ha="center", fontsize=12, color=HIDDEN)
    last = FIRST + (len(WORDS) - 1) * APART - 0.45
    axes.plot([edge, 3.6, 3.6, last], [REGIONS, REGIONS, BUS, BUS], color=BACKWARD, linewidth=1.5, zorder=1)
    axes.text(4.45, BUS + 0.2, "all regions", color=BACKWARD, fontsize=10)


def _step(axes: Axes, x: float, word: str, before: str) -> None:
    """Draw attention, recurrence and word around x; `before` is the word that is read."""
    box(axes, x, STATE, "tanh RNN", HIDDEN, 1.5, 0.8)
    box(axes, x - 0.45, ATTENTION, "attention", BACKWARD, 1.45)
    arrow(axes, (x - 0.45, BUS), (x - 0.45, ATTENTION - 0.32), BACKWARD)
    axes.plot([x - 1.0, x - 1.0], [STATE, ATTENTION + 0.62], color=HIDDEN, linewidth=1.5, zorder=1)
    arrow(axes, (x - 1.0, ATTENTION + 0.62), (x - 1.0, ATTENTION + 0.32), HIDDEN)
    arrow(axes, (x - 0.45, ATTENTION + 0.32), (x - 0.45, STATE - 0.4), BACKWARD)
    axes.text(x + 0.55, 1.05, before, ha="center", color=INPUT, fontsize=11)
    arrow(axes, (x + 0.5, 1.38), (x + 0.5, STATE - 0.4), INPUT)
    arrow(axes, (x, STATE + 0.41), (x, WORD - 0.33))
    box(axes, x, WORD, word, OUTPUT, 1.5)
    arrow(axes, (x + 0.76, STATE), (min(x + APART - 0.76, 13.05), STATE), HIDDEN, width=2.2)

"""From a language model's step to the captioner's: the same recurrence, with a look at the photo before each word."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.patches import Circle, Rectangle

from docs.figures.style import BACKWARD, GREY, HIDDEN, INK, INPUT, OUTPUT, arrow, box, drawing, new_figure, save

STATE = 3.75
"""How high the line of the states lies; drawing units."""


def draw(folder: Path) -> list[Path]:
    """Draw both steps side by side; what the captioner adds is orange."""
    figure = new_figure(4.9)
    axes = figure.subplots()
    drawing(axes, 14.6, 7.4)
    axes.text(0, 7.15, "A language model's step", fontweight="bold", fontsize=11.5, va="center")
    _step(axes, 1.95, "softmax($h_t W_y$)", 2.3)
    axes.plot([4.15, 4.15], [0.2, 7.3], color=GREY, linewidth=0.9, linestyle=":")

    axes.text(4.6, 7.15, "The captioner's step", fontweight="bold", fontsize=11.5, va="center")
    photo, gate, cell = 6.25, 9.75, 12.3
    _step(axes, cell, "softmax(tanh([$h_t$, $c_t$, $x_t$] $W_o$) $W_v$)", 4.3, words_shift=0.4)
    axes.plot([photo, cell - 1.3], [STATE, STATE], color=HIDDEN, linewidth=2.2, zorder=1)
    for x in (photo, gate):
        axes.add_patch(Circle((x, STATE), 0.07, color=HIDDEN, zorder=2))
        arrow(axes, (x, STATE), (x, 2.83), HIDDEN)
    box(axes, photo, 2.4, "attention\n$\\alpha$ = softmax(e)", BACKWARD, 2.3, 0.85)
    axes.text(4.5, 5.0, "$e_l = v \\cdot$ tanh($m_l W_k + h_{t-1} W_q$)", fontsize=11.5, color=BACKWARD, va="center")
    axes.text(4.5, 4.5, "how well region l fits the state", fontsize=9.5, color=BACKWARD, va="center")
    arrow(axes, (photo + 1.16, 2.4), (gate - 0.83, 2.4), BACKWARD)
    axes.text((photo + gate) / 2 + 0.15, 2.68, "$\\sum_l \\alpha_l m_l$", ha="center", color=BACKWARD, fontsize=11)
    box(axes, gate, 2.4, r"$\times\;\sigma(h_{t-1} W_g)$", BACKWARD, 1.62, 0.85)
    axes.plot([gate + 0.82, cell - 0.4], [2.4, 2.4], color=BACKWARD, linewidth=1.5)
    arrow(axes, (cell - 0.4, 2.4), (cell - 0.4, STATE - 0.44), BACKWARD)
    axes.text(cell - 1.0, 1.95, "context $c_t$", ha="center", color=BACKWARD, fontsize=10.5)

    side = 0.27
    for row in range(4):
        for column in range(4):
            corner = (photo + (column - 2) * side, 0.55 + row * side)
            axes.add_patch(Rectangle(corner, side, side, facecolor="#F4F4F4", edgecolor=GREY, linewidth=0.8))
    axes.text(photo, 0.25, "regions $m_l$ of the photo", ha="center", va="center", fontsize=9.5)
    arrow(axes, (photo, 0.55 + 4 * side), (photo, 1.95), BACKWARD)
    return [save(figure, folder / "attention_step.svg")]


def _step(axes: Axes, x: float, output: str, output_width: float, words_shift: float = 0.0) -> None:
    """Draw word, state before, cell, state after and prediction around the cell's place x."""
    box(axes, x, STATE, "tanh cell", HIDDEN, 1.5, 0.85)
    axes.text(x + words_shift, 0.85, "word $x_t$", ha="center", va="center", fontsize=11.5, color=INPUT)
    arrow(axes, (x + words_shift, 1.15), (x + words_shift, STATE - 0.44))
    arrow(axes, (x - 1.4, STATE), (x - 0.77, STATE), HIDDEN, width=2.2)
    arrow(axes, (x + 0.77, STATE), (x + 1.4, STATE), HIDDEN, width=2.2)
    axes.text(x - 1.2, STATE + 0.25, "$h_{t-1}$", ha="center", fontsize=12, color=HIDDEN)
    axes.text(x + 1.2, STATE + 0.25, "$h_t$", ha="center", fontsize=12, color=HIDDEN)
    arrow(axes, (x, STATE + 0.44), (x, 5.15))
    box(axes, x, 5.48, output, OUTPUT, output_width)
    arrow(axes, (x, 5.81), (x, 6.3))
    axes.text(x, 6.52, "next word", ha="center", va="center", fontsize=11.5, color=INK)

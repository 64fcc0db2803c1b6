"""Where recurrent networks are used: how many inputs come in, and how many outputs go out."""

from pathlib import Path

from matplotlib.axes import Axes

from docs.figures.style import GREY, HIDDEN, INPUT, OUTPUT, arrow, box, drawing, new_figure, save

USES = (
    ("one to one", "no recurrence:\na photo → its class", 1, (0,), (0,)),
    ("one to many", "a photo →\nits caption", 3, (0,), (0, 1, 2)),
    ("many to one", "a sentence →\nthe missing name", 3, (0, 1, 2), (2,)),
    ("many to many", "a sentence →\nits translation", 5, (0, 1, 2), (2, 3, 4)),
    ("many to many,\nstep by step", "a letter →\nthe next letter", 3, (0, 1, 2), (0, 1, 2)),
)
"""Name, example, steps, the steps with an input, and those with an output."""


def draw(folder: Path) -> list[Path]:
    """Draw the five shapes side by side."""
    figure = new_figure(3.3)
    axes = figure.subplots()
    step, gap = 0.72, 0.55
    x = 0.0
    for name, example, steps, inputs, outputs in USES:
        wide = max(steps * step, 2.05)
        _shape(axes, x + (wide - (steps - 1) * step) / 2, steps, inputs, outputs, step)
        axes.text(x + wide / 2, 4.65, name, ha="center", va="center", fontweight="bold", fontsize=10)
        axes.text(x + wide / 2, 0.6, example, ha="center", va="center", fontsize=9.5)
        x += wide + gap
        if steps == 1:
            axes.plot([x - gap / 2] * 2, [0.3, 4.9], color=GREY, linewidth=0.9, linestyle=":")
    for y, label, colour in ((3.75, "outputs", OUTPUT), (2.6, "states", HIDDEN), (1.45, "inputs", INPUT)):
        axes.text(-0.15, y, label, ha="right", va="center", fontsize=10, color=colour)
    drawing(axes, x - gap, 5.0)
    axes.set_xlim(-1.2, x - gap + 0.05)
    return [save(figure, folder / "uses.svg")]


def _shape(axes: Axes, x: float, steps: int, inputs: tuple[int, ...], outputs: tuple[int, ...], step: float) -> None:
    for t in range(steps):
        at = x + t * step
        box(axes, at, 2.6, "", HIDDEN, 0.46, 0.6)
        if t:
            arrow(axes, (at - step + 0.25, 2.6), (at - 0.24, 2.6), HIDDEN, width=1.8)
        if t in inputs:
            box(axes, at, 1.45, "", INPUT, 0.46, 0.6)
            arrow(axes, (at, 1.77), (at, 2.28))
        if t in outputs:
            box(axes, at, 3.75, "", OUTPUT, 0.46, 0.6)
            arrow(axes, (at, 2.92), (at, 3.43))

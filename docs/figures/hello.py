"""Karpathy's "hello": one-hot letters (4), hidden units (3), probabilities (4), before and after training."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from captioner.scratch.hello import INPUTS, LETTERS, TARGETS, Hello, train
from captioner.scratch.optimizers import Adagrad
from docs.figures.style import GREY, HIDDEN, INK, INPUT, RIGHT, arrow, drawing, new_figure, save, write_csv

STEPS, SEED = 300, 0
COLUMN, TALL, WIDE = 2.3, 0.36, 0.66
"""From one letter to the next, and the sides of a number's box; drawing units."""


def draw(folder: Path) -> list[Path]:
    """Train the network on "hello" and draw its numbers at each of the four examples."""
    model = Hello(SEED)
    before = model.probabilities(INPUTS)[0]  # (4, 4)
    train(model, Adagrad(0.25), STEPS)
    states = model.rnn.forward(INPUTS)[0]  # (4, 3)
    after = model.probabilities(INPUTS)[0]  # (4, 4)

    figure = new_figure(6.2)
    axes = figure.subplots()
    drawing(axes, 10.6, 7.25)
    x_first, y_input, y_hidden, y_output = 2.35, 1.25, 3.3, 5.55
    for y, name in ((y_input, "input\none-hot, 4"), (y_hidden, "hidden\ntanh, 3"), (y_output, "output\nsoftmax, 4")):
        axes.text(0.05, y, name, va="center", color=INK)
    for t, (letter, target) in enumerate(zip("hell", TARGETS[0], strict=True)):
        x = x_first + t * COLUMN
        _column(axes, x, y_input, [f"{number:.0f}" for number in INPUTS[0, t]], _filled(INPUTS[0, t], INPUT))
        _column(
            axes,
            x,
            y_hidden,
            [f"{number:+.2f}".replace("-", "\N{MINUS SIGN}") for number in states[t]],
            [_state(number) for number in states[t]],
        )
        for probabilities, shift, name in ((before[t], -0.37, "start"), (after[t], 0.37, "trained")):
            faces = _filled(probabilities, GREY)
            faces[target] = _mixed(RIGHT, probabilities[target])
            _column(axes, x + shift, y_output, [f"{number:.3f}" for number in probabilities], faces, target)
            axes.text(x + shift, y_output + 2 * TALL + 0.13, name, ha="center", fontsize=9, color=GREY)
        axes.text(x, 0.18, letter, ha="center", va="center", fontsize=17, fontweight="bold", color=INPUT)
        axes.text(x, 6.95, LETTERS[target], ha="center", va="center", fontsize=17, fontweight="bold", color=RIGHT)
        arrow(axes, (x, y_input + 2 * TALL + 0.05), (x, y_hidden - 1.5 * TALL - 0.05))
        arrow(axes, (x, y_hidden + 1.5 * TALL + 0.05), (x, y_output - 2 * TALL - 0.05))
        if t:
            arrow(axes, (x - COLUMN + WIDE / 2 + 0.06, y_hidden), (x - WIDE / 2 - 0.06, y_hidden), HIDDEN, width=2.2)
        if t == 0:
            axes.text(x + 0.12, (y_input + y_hidden) / 2 + 0.1, "$W_x$", va="center")
            axes.text(x + 0.12, (y_hidden + y_output) / 2 - 0.1, "$W_y$", va="center")
            axes.text(x + COLUMN / 2, y_hidden + 0.26, "$W_h$", ha="center", color=HIDDEN)
        for y, column_x in ((y_input, x - WIDE / 2), (y_output, x - 0.37 - WIDE / 2)):
            for row, name in enumerate(LETTERS):
                axes.text(
                    column_x - 0.14, y + (1.5 - row) * TALL, name, ha="center", va="center", fontsize=9, color=GREY
                )
    axes.text(0.05, 6.95, "right answer", va="center", color=RIGHT)
    axes.text(0.05, 0.18, "letter read", va="center", color=INPUT)

    rows = [
        (t + 1, letter, LETTERS[target], *map(float, before[t]), *map(float, after[t]))
        for t, (letter, target) in enumerate(zip("hell", TARGETS[0], strict=True))
    ]
    columns = ["step", "read", "right", *(f"{when}_{letter}" for when in ("start", "trained") for letter in LETTERS)]
    return [save(figure, folder / "hello.svg"), write_csv(folder / "hello.csv", columns, rows)]


def _column(axes: Axes, x: float, y: float, texts: list[str], faces: list[tuple], right: int | None = None) -> None:
    """Stack boxes with numbers around the middle (x, y), the first on top; the `right` one has a green edge."""
    for row, (text, face) in enumerate(zip(texts, faces, strict=True)):
        middle = y + ((len(texts) - 1) / 2 - row) * TALL
        edge, width = (RIGHT, 2.0) if row == right else (GREY, 0.7)
        axes.add_patch(
            Rectangle(
                (x - WIDE / 2, middle - TALL / 2),
                WIDE,
                TALL,
                facecolor=face,
                edgecolor=edge,
                linewidth=width,
                zorder=3 if row == right else 2,
            )
        )
        dark = np.dot(face[:3], (0.3, 0.59, 0.11)) < 0.55
        weight = "bold" if row == right else "normal"
        axes.text(
            x,
            middle,
            text,
            ha="center",
            va="center",
            fontsize=9.5,
            fontweight=weight,
            color="white" if dark else INK,
            zorder=4,
        )


def _filled(shares: np.ndarray, colour: str) -> list[tuple]:
    return [_mixed(colour, 0.75 * share) for share in shares]


def _state(number: float) -> tuple:
    return _mixed(HIDDEN if number > 0 else "#D55E00", 0.6 * abs(number))


def _mixed(colour: str, share: float) -> tuple:
    """Return white with this share of a colour."""
    return tuple(1 + (channel - 1) * share for channel in matplotlib.colors.to_rgb(colour))

"""How all figures look and how they are written: one palette, one type size, files that do not change by themselves."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

INK, GREY, PALE = "#222222", "#767676", "#E4E4E4"
RIGHT = "#1B7F3B"
"""Green is kept for what is right; nothing else may have it."""

INPUT, HIDDEN, OUTPUT, BACKWARD = "#8C6D1F", "#0072B2", "#1F1F1F", "#D55E00"
"""Inputs, states, outputs, and the way back of the gradients; from the palette of Okabe and Ito, darkened for text."""

CELL_COLOURS = {"rnn": "#D55E00", "gru": "#0072B2", "lstm": "#AA4499"}
CELL_MARKERS = {"rnn": "o", "gru": "s", "lstm": "^"}
CELL_NAMES = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM"}

WIDTH = 9.0
"""Inches; a page of a git host shows them at about 860 pixels."""

_SETTINGS: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": PALE,
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.linewidth": 2.0,
    "lines.markersize": 5.5,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",  # a page may be dark
    "svg.fonttype": "path",  # looks the same whatever fonts the reader has
    "svg.hashsalt": "captioner",  # otherwise the names inside the file are random
}


def new_figure(height: float) -> Figure:
    """Make an empty figure of the common width in the common style; `height` is in inches."""
    matplotlib.rcParams.update(_SETTINGS)
    return Figure(figsize=(WIDTH, height), layout="constrained")


def save(figure: Figure, path: Path) -> Path:
    """Write a figure without the date, so that the same figure is the same file."""
    figure.savefig(path, metadata={"Date": None})
    return path


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """Write what was measured beside its figure; numbers keep five digits."""
    lines = [",".join(columns)]
    lines += [",".join(f"{value:.5g}" if isinstance(value, float) else str(value) for value in row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def drawing(axes: Axes, width: float, height: float) -> None:
    """Turn axes into a sheet of paper of width x height units, equal in both directions."""
    axes.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    axes.axis("off")


def box(axes: Axes, x: float, y: float, text: str, colour: str, width: float = 1.0, height: float = 0.62) -> None:
    """Draw a rounded box around the middle (x, y)."""
    patch = FancyBboxPatch(
        (x - width / 2, y - height / 2),
        width,
        height,
        boxstyle="round,pad=0,rounding_size=0.12",
        facecolor=_lighter(colour),
        edgecolor=colour,
        linewidth=1.6,
        zorder=2,
    )
    axes.add_patch(patch)
    axes.text(x, y, text, ha="center", va="center", zorder=3)


def dot(axes: Axes, x: float, y: float, colour: str, radius: float = 0.13) -> None:
    """Draw a unit of a network."""
    axes.add_patch(Circle((x, y), radius, facecolor=_lighter(colour), edgecolor=colour, linewidth=1.4, zorder=3))


def arrow(
    axes: Axes,
    begin: tuple[float, float],
    end: tuple[float, float],
    colour: str = INK,
    style: str = "-",
    width: float = 1.5,
) -> None:
    """Draw an arrow."""
    axes.add_patch(
        FancyArrowPatch(
            begin,
            end,
            arrowstyle="-|>",
            mutation_scale=12,
            color=colour,
            linestyle=style,
            linewidth=width,
            shrinkA=0,
            shrinkB=0,
            zorder=1,
        )
    )


def _lighter(colour: str, share: float = 0.86) -> tuple[float, ...]:
    return tuple(channel + (1 - channel) * share for channel in matplotlib.colors.to_rgb(colour))

"""The figure of `benchmarks.confidence`: confidence against what was right, and how far photos are from those known."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from docs.figures.style import BACKWARD, GREY, HIDDEN, INK, new_figure, save

COLOURS = (HIDDEN, BACKWARD)
MARKERS = ("o", "s")

TICKS = (0.5, 1, 2, 4)
"""Of distances; 1 is the threshold of what is unfamiliar."""

DOTS = 100
"""Photos of a kind that are shown, about; more would make the file large."""

Panel = tuple[Mapping[int, np.ndarray], Mapping[str, np.ndarray]]
"""Of a model: points (count, 2) of confidence and share by their number, and distances (N,) by kind of photo."""


def draw_confidence(path: Path, panels: Mapping[str, Panel]) -> Path:
    """Draw at most two models: their reliability in one diagram, and a row of distances for each kind of photo.

    Raises:
        OSError: the file cannot be written.
    """
    figure = new_figure(3.7)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
    left.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--")
    left.text(0.98, 0.03, "five bins: lines; ten: dots", color=GREY, ha="right")
    for (name, (points, _)), colour, marker in zip(panels.items(), COLOURS, MARKERS, strict=False):
        few, many = (points[count] for count in sorted(points))
        left.plot(*many.T, linestyle="", marker=marker, markersize=4, color=colour, alpha=0.5)
        left.plot(*few.T, marker=marker, color=colour, label=name)
    left.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="confidence", ylabel="content words that somebody used")
    left.set_title("Captions of dev")
    left.legend(loc="upper left")
    _draw_distances(right, panels)
    return save(figure, path)


def _draw_distances(axes: Axes, panels: Mapping[str, Panel]) -> None:
    """Draw a dot for each photo at its distance, moved up and down at random, and the threshold."""
    draw = np.random.default_rng(0)
    labels: list[str] = []
    for (name, (_, kinds)), colour in zip(panels.items(), COLOURS, strict=False):
        for kind, found in kinds.items():
            shown = found[:: max(1, len(found) // DOTS)]
            heights = -len(labels) + draw.uniform(-0.3, 0.3, len(shown))
            axes.plot(shown, heights, ".", markersize=4, color=colour, alpha=0.55)
            labels.append(f"{name}, {kind}")
    axes.axvline(1, color=INK, linewidth=1)
    axes.text(1.03, 0.62, "unfamiliar", color=INK, va="bottom")
    axes.text(0.97, 0.62, "familiar", color=INK, va="bottom", ha="right")
    axes.set_yticks(-np.arange(len(labels)), labels)
    axes.set(ylim=(-len(labels) + 0.4, 1.1), xscale="log")
    axes.set(xlabel="distance from the training photos")
    axes.set_xticks(TICKS, map(str, TICKS))
    axes.set_xticks([], minor=True)
    axes.set_title("Dev, and photos unlike it")
    axes.grid(axis="y", visible=False)

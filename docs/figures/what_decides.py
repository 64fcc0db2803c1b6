"""How good captions are by kind of photo, and how often their words are right; for `docs/errors.md`.

`python -m benchmarks.what_decides --page docs/errors.md` measures and draws it; `draw` does the same for the figure
alone. It needs Flickr8k and InceptionV3's weights.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from docs.figures.style import BACKWARD, GREY, HIDDEN, new_figure, save

ROOT = Path(__file__).parents[2]


def draw(folder: Path) -> list[Path]:
    """Measure and draw."""
    measured = import_module("benchmarks.what_decides").measure(ROOT / "saved_models" / "flickr8k", None)
    return [draw_parts(folder / "what_decides.svg", measured)]


def draw_parts(path: Path, found: Mapping[str, Any]) -> Path:
    """Draw what `benchmarks.what_decides` measured: scores by kind of photo on the left, right words on the right.

    Raises:
        OSError: the file cannot be written.
    """
    figure = new_figure(4.4)
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    kinds = {name: parts for name, parts in found["kinds"].items() if "chosen" in parts}
    names = sorted(kinds, key=lambda name: kinds[name]["chosen"]["score"])
    for place, name in enumerate(names):
        model, person = kinds[name]["chosen"], kinds[name]["people"]
        left.plot([model["low"], model["high"]], [place, place], color=HIDDEN, linewidth=2)
        left.plot(model["score"], place, "o", color=HIDDEN, zorder=3)
        left.plot(person["score"], place, "|", color=BACKWARD, markersize=12, markeredgewidth=2.5)
    left.axvline(found["all"]["chosen"]["score"], color=GREY, linewidth=1, linestyle="--")
    left.set_title("Captions, by kind of photo")
    left.set(xlabel="CIDEr-D; dashed: all photos", xlim=(0, None))
    _label(left, [f"{name} ({kinds[name]['chosen']['photos']})" for name in names])
    words = list(found["words"].items())[::-1]
    for place, (_, both) in enumerate(words):
        right.plot(100 * both["model"]["precision"], place, "o", color=HIDDEN)
        right.plot(100 * both["person"]["precision"], place, "|", color=BACKWARD, markersize=12, markeredgewidth=2.5)
    right.set_title("Words, by kind")
    right.set(xlabel="% that somebody else used", xlim=(0, 100))
    right.plot([], [], "o", color=HIDDEN, label="the model")
    right.plot([], [], "|", color=BACKWARD, markersize=12, markeredgewidth=2.5, label="one person")
    right.legend(loc="lower left")
    _label(right, [name for name, _ in words])
    return save(figure, path)


def _label(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.grid(axis="y", visible=False)

"""The loop of a recurrent network, and the same network unfolded in time, with the way back of the gradients."""

from pathlib import Path

from docs.figures.style import BACKWARD, HIDDEN, INK, INPUT, arrow, box, drawing, new_figure, save

STEPS = 4


def draw(folder: Path) -> list[Path]:
    """Draw one cell with a loop, then the same cell once a step."""
    figure = new_figure(3.9)
    axes = figure.subplots()
    drawing(axes, 13.0, 5.2)
    bottom, middle, top = 0.85, 2.45, 4.1

    def column(x: float, step: str) -> None:
        box(axes, x, middle, "RNN", HIDDEN, 1.25, 0.85)
        arrow(axes, (x, bottom + 0.3), (x, middle - 0.45))
        arrow(axes, (x, middle + 0.45), (x, top - 0.3))
        axes.text(x, bottom, f"$x_{step}$", ha="center", va="center", fontsize=14, color=INPUT)
        axes.text(x, top, f"$h_{step}$", ha="center", va="center", fontsize=14, color=HIDDEN)

    column(1.2, "t")
    # The loop: out of the right side, around, and into the left side.
    path = [(1.83, 2.45), (2.3, 2.45), (2.3, 3.35), (0.1, 3.35), (0.1, 2.45)]
    axes.plot(*zip(*path, strict=True), color=HIDDEN, linewidth=2.0, solid_joinstyle="round", zorder=1)
    arrow(axes, path[-1], (0.57, 2.45), HIDDEN, width=2.0)
    axes.text(2.42, 3.3, "$h_{t-1}$", color=HIDDEN, fontsize=12, va="center")
    axes.text(3.35, middle, "=", ha="center", va="center", fontsize=26)

    first, apart = 5.45, 2.1
    axes.text(first - 1.45, middle, "$h_0$", ha="center", va="center", fontsize=14, color=HIDDEN)
    for step in range(1, STEPS + 1):
        x = first + (step - 1) * apart
        column(x, str(step))
        begin = x - apart + 0.63 if step > 1 else x - 1.2
        arrow(axes, (begin, middle + 0.12), (x - 0.65, middle + 0.12), HIDDEN, width=2.2)
        arrow(axes, (x - 0.65, middle - 0.16), (begin, middle - 0.16), BACKWARD, style=(0, (3, 2)), width=1.8)
        if step > 1:
            axes.text(x - apart / 2, middle + 0.3, "$W_h$", ha="center", color=HIDDEN, fontsize=11)
    axes.text(first + 0.15, 1.55, "$W_x$", color=INK, fontsize=11)
    end = first + (STEPS - 1) * apart
    arrow(axes, (end + 0.65, middle + 0.12), (end + 1.15, middle + 0.12), HIDDEN, width=2.2)
    arrow(axes, (end + 1.15, middle - 0.16), (end + 0.65, middle - 0.16), BACKWARD, style=(0, (3, 2)), width=1.8)
    axes.text(1.2, 4.95, "folded", ha="center", va="center", fontweight="bold")
    axes.text(first + 1.5 * apart, 4.95, "unfolded in time", ha="center", va="center", fontweight="bold")
    axes.text(
        first + 1.5 * apart, 0.15, "the same $W_x$, $W_h$ and $b$ at every step", ha="center", va="center", color=INK
    )
    axes.text(0.0, 0.15, "blue: states, forward", va="center", color=HIDDEN, fontsize=10)
    axes.text(0.0, -0.25, "dashed: gradients, backward", va="center", color=BACKWARD, fontsize=10)
    axes.set_ylim(-0.5, 5.2)
    return [save(figure, folder / "unfolding.svg")]

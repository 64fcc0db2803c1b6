"""tanh, sigmoid and their derivatives, as `captioner.scratch.activations` computes them."""

from pathlib import Path

import numpy as np

from captioner.scratch.activations import sigmoid, tanh, tanh_derivative
from docs.figures.style import BACKWARD, GREY, HIDDEN, INK, new_figure, save


def draw(folder: Path) -> list[Path]:
    """Draw the curves and how steep they are; the dots are 2 σ(2x) - 1."""
    x = np.linspace(-5, 5, 401)
    few = x[::20]
    figure = new_figure(3.5)
    values, slopes = figure.subplots(1, 2)
    values.plot(x, tanh(x), color=HIDDEN, label=r"$\tanh(x)$")
    values.plot(x, sigmoid(x), color=BACKWARD, linestyle="--", label=r"$\sigma(x)$")
    values.plot(few, 2 * sigmoid(2 * few) - 1, "o", color=INK, markersize=3.5, label=r"$2\,\sigma(2x) - 1$")
    values.set(title="Values", xlabel="x", ylabel="y", ylim=(-1.1, 1.1))
    values.legend(loc="upper left")
    slopes.plot(x, tanh_derivative(x), color=HIDDEN, label=r"$\tanh'(x) = 1 - \tanh^2(x)$")
    slopes.plot(
        x,
        sigmoid(x) * (1 - sigmoid(x)),
        color=BACKWARD,
        linestyle="--",
        label=r"$\sigma'(x) = \sigma(x)\,(1 - \sigma(x))$",
    )
    slopes.set(title="Derivatives", xlabel="x", ylabel="dy/dx", ylim=(0, 1.38), yticks=[0, 0.25, 0.5, 0.75, 1])
    for height in (1.0, 0.25):
        slopes.axhline(height, color=GREY, linewidth=0.9, linestyle=":")
    slopes.legend(loc="upper left")
    return [save(figure, folder / "tanh.svg")]

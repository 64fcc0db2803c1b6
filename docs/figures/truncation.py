"""Truncated backpropagation through time: the gradient stops at the edge of a window, the carried state does not."""

from pathlib import Path

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, LogNorm

from captioner.scratch.time_rnn import TimeRNN
from docs.figures.style import BACKWARD, HIDDEN, new_figure, save

T, WINDOW, D, H = 24, 8, 6, 16
NUDGE = 1e-4


def draw(folder: Path) -> list[Path]:
    """Measure which inputs each state gives a gradient to, and which inputs it depends on."""
    rng = np.random.default_rng(0)
    params = 0.6 * rng.normal(size=(D, H)) / np.sqrt(D), rng.normal(size=(H, H)) / np.sqrt(H), np.zeros(H)
    xs, weight = rng.normal(size=(1, T, D)), rng.normal(size=H)
    windows = [slice(first, first + WINDOW) for first in range(0, T, WINDOW)]

    whole, truncated = np.zeros((T, T)), np.zeros((T, T))  # [t, s]: |d (weight . h_t) / d x_s|
    for matrix, cuts in ((whole, [slice(0, T)]), (truncated, windows)):
        rnn = TimeRNN(*params, stateful=True)
        for cut in cuts:
            hs = rnn.forward(xs[:, cut])
            for t in range(hs.shape[1]):
                dhs = np.zeros_like(hs)
                dhs[0, t] = weight
                matrix[cut.start + t, cut] = np.linalg.norm(rnn.backward(dhs)[0], axis=-1)

    def output(changed: np.ndarray) -> np.ndarray:
        """Read the text window by window with the state carried, and return weight . h_t at every step (T,)."""
        rnn = TimeRNN(*params, stateful=True)
        return np.concatenate([rnn.forward(changed[:, cut])[0] for cut in windows]) @ weight

    depends = np.zeros((T, T))
    for s in range(T):
        slopes = []
        for d in range(D):
            more, less = xs.copy(), xs.copy()
            more[0, s, d] += NUDGE
            less[0, s, d] -= NUDGE
            slopes.append((output(more) - output(less)) / (2 * NUDGE))
        depends[:, s] = np.linalg.norm(slopes, axis=0)
        depends[:s, s] = 0

    figure = new_figure(3.6)
    panels = figure.subplots(1, 3, sharey=True)
    titles = (
        f"Gradient,\none window of {T}",
        f"Gradient, {T // WINDOW} windows of {WINDOW},\nstate carried",
        f"What $h_t$ depends on,\n{T // WINDOW} windows of {WINDOW}, state carried",
    )
    blues = LinearSegmentedColormap.from_list("blues", ["#D3E5F2", HIDDEN, "#0B2B4A"])
    norm = LogNorm(1e-3 * whole.max(), whole.max())
    for axes, matrix, title in zip(panels, (whole, truncated, depends), titles, strict=True):
        shown = np.ma.masked_equal(matrix, 0)  # what is exactly zero stays white
        image = axes.imshow(shown, cmap=blues, norm=norm, extent=(0.5, T + 0.5, T + 0.5, 0.5))
        axes.set_title(title, fontsize=10.5)
        axes.set(xlabel="input $x_s$ at step s", xticks=[1, 8, 16, 24], yticks=[1, 8, 16, 24])
        axes.grid(visible=False)
        if matrix is not whole:
            for edge in range(WINDOW, T, WINDOW):
                axes.axvline(edge + 0.5, color=BACKWARD, linewidth=1.0, linestyle="--")
                axes.axhline(edge + 0.5, color=BACKWARD, linewidth=1.0, linestyle="--")
    panels[0].set_ylabel("state $h_t$ at step t")
    figure.colorbar(image, ax=panels, shrink=0.85, label="norm of the derivative", extend="min")
    return [save(figure, folder / "truncation.svg")]

"""Feed-forward against recurrent: what it costs that a feed-forward network reads a fixed number of letters.

Both learn to write "h e l ... l o" with n letters l, in NumPy (`captioner.scratch`). The feed-forward network is the
same code with a window of one step: the state before it is zero, so W_h is never used, and its input is w letters side
by side. The recurrent one reads a letter at a time and carries its state.
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from tqdm import tqdm

from captioner.scratch.hello import LETTERS
from captioner.scratch.layers import Affine
from captioner.scratch.loss import SoftmaxWithLoss
from captioner.scratch.optimizers import Adagrad, clip_gradients
from captioner.scratch.time_rnn import TimeRNN
from docs.figures.style import GREY, HIDDEN, INPUT, OUTPUT, arrow, dot, drawing, new_figure, save, write_csv

UNITS, STEPS, SEEDS = 8, 800, 3
REPEATS = (1, 2, 3, 4, 5, 6)
WINDOWS = {1: ("^", "#AA4499"), 2: ("s", "#D55E00"), 4: ("D", "#8C6D1F")}
"""Letters that a feed-forward network reads, and how its curve looks."""


def draw(folder: Path) -> list[Path]:
    """Draw both networks, their weights against the letters they read, and how well they learn."""
    figure = new_figure(6.4)
    (left, right), (weights, losses) = figure.subplots(2, 2, height_ratios=(1, 1.15))
    _draw_feed_forward(left)
    _draw_recurrent(right)

    windows = np.arange(1, 21)
    counts = [_weights(*_network(window, recurrent=False, seed=0)) for window in windows]
    recurrent = _weights(*_network(1, recurrent=True, seed=0))
    weights.plot(windows, counts, color=OUTPUT, label="feed-forward")
    weights.plot(windows, np.full(len(windows), recurrent), color=HIDDEN, label="recurrent")
    weights.set(title=f"Weights, {UNITS} hidden units", xlabel="letters that can matter", ylim=(0, None))
    weights.set_ylabel("number of weights")
    weights.set_xticks([1, 5, 10, 15, 20])
    weights.legend()

    rows = []
    networks = [(window, False) for window in WINDOWS] + [(1, True)]
    for window, is_recurrent in tqdm(networks, desc="feed_forward", unit="network", delay=2, leave=False):
        measured = np.array(
            [[_trained_loss(n, window, is_recurrent, seed) for seed in range(SEEDS)] for n in REPEATS]
        )  # (n, seeds)
        middle = np.median(measured, axis=1)
        rows += [
            ("recurrent" if is_recurrent else f"window {window}", n, *map(float, (loss, each.min(), each.max())))
            for n, loss, each in zip(REPEATS, middle, measured, strict=True)
        ]
        marker, colour = ("o", HIDDEN) if is_recurrent else WINDOWS[window]
        letters = f"feed-forward, {window} letter{'s' * (window > 1)}"
        losses.plot(REPEATS, middle, marker=marker, color=colour, label="recurrent" if is_recurrent else letters)
    losses.set(title='Loss after training on "hel…lo"', xlabel="number of l's", ylim=(-0.1, None))
    losses.set_ylabel("nats per word")
    losses.legend(fontsize=9)
    table = write_csv(folder / "feed_forward.csv", ("network", "ls", "median_nats_a_word", "least", "most"), rows)
    return [save(figure, folder / "feed_forward.svg"), table]


def _network(window: int, recurrent: bool, seed: int) -> tuple[TimeRNN, Affine, bool]:
    """Make the two layers for inputs of `window` one-hot letters side by side."""
    rng = np.random.default_rng(seed)
    V, D = len(LETTERS), window * len(LETTERS)
    Wx = rng.normal(size=(D, UNITS)) / np.sqrt(D)
    Wh = rng.normal(size=(UNITS, UNITS)) / np.sqrt(UNITS)
    Wy = rng.normal(size=(UNITS, V)) / np.sqrt(UNITS)
    return TimeRNN(Wx, Wh, np.zeros(UNITS)), Affine(Wy, np.zeros(V)), recurrent


def _weights(rnn: TimeRNN, affine: Affine, recurrent: bool) -> int:
    """Count the numbers that are learned; W_h is none of a feed-forward network's."""
    return sum(param.size for param in [*rnn.params, *affine.params]) - (0 if recurrent else rnn.params[1].size)


def _trained_loss(n: int, window: int, recurrent: bool, seed: int) -> float:
    """Train on "h e l ... l o" with n letters l and return the loss of the word, in nats."""
    tokens = np.array([LETTERS.index(letter) for letter in "he" + n * "l" + "o"])
    inputs, targets = np.eye(len(LETTERS))[tokens[:-1]], tokens[1:]  # (T, V), (T,)
    if recurrent:
        xs, ts = inputs[None], targets[None]  # (1, T, V), (1, T)
    else:
        padded = np.concatenate([np.zeros((window - 1, len(LETTERS))), inputs])
        side_by_side = [padded[t : t + window].ravel() for t in range(len(inputs))]
        xs, ts = np.array(side_by_side)[:, None], targets[:, None]  # (T, 1, window * V), (T, 1)
    rnn, affine, _ = _network(window, recurrent, seed)
    softmax, optimizer = SoftmaxWithLoss(), Adagrad(0.25)
    params, grads = [*rnn.params, *affine.params], [*rnn.grads, *affine.grads]
    for _ in range(STEPS):
        softmax.forward(affine.forward(rnn.forward(xs)), ts)
        rnn.backward(affine.backward(softmax.backward()))
        clip_gradients(grads, 5.0)
        optimizer.update(params, grads)
    return len(targets) * softmax.forward(affine.forward(rnn.forward(xs)), ts)


def _draw_feed_forward(axes: Axes) -> None:
    drawing(axes, 7.0, 4.0)
    axes.text(0, 3.8, "Feed-forward", fontweight="bold", fontsize=11.5, va="center")
    inputs = [(1.0 + 0.55 * number + 0.35 * (number // 3), 0.85) for number in range(9)]
    hidden = [(2.0 + 0.95 * number, 2.0) for number in range(4)]
    outputs = [(2.5 + 0.95 * number, 3.05) for number in range(3)]
    for below, above in ((inputs, hidden), (hidden, outputs)):
        for begin in below:
            for end in above:
                axes.plot(*zip(begin, end, strict=True), color=GREY, linewidth=0.5, zorder=1)
    for units, colour in ((inputs, INPUT), (hidden, HIDDEN), (outputs, OUTPUT)):
        for x, y in units:
            dot(axes, x, y, colour)
    for number in range(3):
        x = 1.55 + 2.0 * number
        axes.text(x, 0.35, f"letter {number + 1}", ha="center", va="center", fontsize=9.5, color=INPUT)
    axes.text(6.1, 2.0, "each place has\nits own weights", fontsize=9.5, va="center", ha="center")


def _draw_recurrent(axes: Axes) -> None:
    drawing(axes, 7.0, 4.0)
    axes.text(0, 3.8, "Recurrent", fontweight="bold", fontsize=11.5, va="center")
    inputs = [(1.9 + 0.55 * number, 0.85) for number in range(3)]
    hidden = [(1.05 + 0.95 * number, 2.0) for number in range(4)]
    outputs = [(1.5 + 0.95 * number, 3.05) for number in range(3)]
    for below, above in ((inputs, hidden), (hidden, outputs)):
        for begin in below:
            for end in above:
                axes.plot(*zip(begin, end, strict=True), color=GREY, linewidth=0.5, zorder=1)
    for units, colour in ((inputs, INPUT), (hidden, HIDDEN), (outputs, OUTPUT)):
        for x, y in units:
            dot(axes, x, y, colour)
    axes.plot([4.1, 4.7, 4.7, 0.3, 0.3], [2.0, 2.0, 2.55, 2.55, 2.0], color=HIDDEN, solid_joinstyle="round")
    arrow(axes, (0.3, 2.0), (0.88, 2.0), HIDDEN, width=2.0)
    axes.text(2.45, 0.35, "letter t", ha="center", va="center", fontsize=9.5, color=INPUT)
    axes.text(5.95, 2.0, "the same weights\nat every step", fontsize=9.5, va="center", ha="center")

"""How much of a gradient is left k steps back: the RNN, the GRU and the LSTM, at initialisation.

The loss is that of the last step alone, the sum of u . h_T with a random unit vector u for each example. Measured is
the norm of its gradient by the state that step T-k hands to step T-k+1: h, for the LSTM h and c together.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from matplotlib.axes import Axes
from tqdm import tqdm

from captioner.layers.cells import Cell, make_cell
from captioner.scratch.time_rnn import TimeRNN
from docs.figures.style import (
    CELL_COLOURS,
    CELL_MARKERS,
    CELL_NAMES,
    GREY,
    INK,
    new_figure,
    save,
    write_csv,
)

UNITS, INPUTS, STEPS, EXAMPLES, DRAWS = 64, 32, 60, 32, 5
MARKED = 10
"""Every so many steps a curve has a mark."""

WEIGHTS = {
    "orthogonal": lambda rng: np.linalg.qr(rng.normal(size=(UNITS, UNITS)))[0],
    "orthogonal * 0.7": lambda rng: 0.7 * np.linalg.qr(rng.normal(size=(UNITS, UNITS)))[0],
    "orthogonal * 1.5": lambda rng: 1.5 * np.linalg.qr(rng.normal(size=(UNITS, UNITS)))[0],
    "normal / √H": lambda rng: rng.normal(size=(UNITS, UNITS)) / np.sqrt(UNITS),
}
"""Ways to start W_h: the Keras cell's own, the same shrunk and stretched, and that of `captioner.scratch.hello`."""

LINES = {"orthogonal": "-", "orthogonal * 0.7": ":", "orthogonal * 1.5": "--", "normal / √H": "-."}


def draw(folder: Path) -> list[Path]:
    """Measure and draw: the three cells with strong and with soft inputs, and the RNN by its recurrent weights."""
    rows: list[tuple] = []
    figure = new_figure(4.2)
    panels = figure.subplots(1, 3, sharey=True)
    measurements = 2 * len(CELL_NAMES) + len(WEIGHTS)
    with tqdm(total=measurements * DRAWS, desc="gradient_norm", delay=2, leave=False) as bar:
        for axes, size in zip(panels, (1.0, 0.1), strict=False):
            for cell in CELL_NAMES:
                curves = [_cell_norms(cell, size, seed, bar.update) for seed in range(DRAWS)]
                _plot(axes, curves, CELL_COLOURS[cell], CELL_NAMES[cell], marker=CELL_MARKERS[cell])
                rows += _rows(f"{cell}, inputs {size}", curves)
            axes.set_title(f"At initialisation,\ninputs of size {size:g}")
        for name, start in WEIGHTS.items():
            ours, keras_curves = zip(*(_rnn_norms(start, seed, bar.update) for seed in range(DRAWS)), strict=True)
            _plot(panels[2], ours, INK if name != "orthogonal" else CELL_COLOURS["rnn"], name, linestyle=LINES[name])
            k = np.arange(0, STEPS + 1, MARKED)
            panels[2].plot(k, _middle(keras_curves)[k], "x", color=GREY, markersize=6, label="_")
            rows += _rows(f"rnn, {name}, NumPy", ours) + _rows(f"rnn, {name}, Keras", keras_curves)
    panels[2].plot([], [], "x", color=GREY, label="the same in Keras")
    panels[2].set_title("RNN in NumPy, inputs 0.1,\nby initial $W_h$")
    for axes in panels:
        axes.set(yscale="log", xlabel="steps back, k", xlim=(0, STEPS))
    panels[0].set_ylabel("norm of the gradient")
    panels[0].set_ylim(1e-12, 1e2)  # all that was measured
    for axes in panels[:2]:
        axes.legend(loc="lower left")
    panels[2].legend(loc="lower left", fontsize=8.5)
    for axes in panels[1:]:
        axes.tick_params(labelleft=True)
    table = write_csv(folder / "gradient_norm.csv", ("network", "k", "norm", "least", "most"), rows)
    return [save(figure, folder / "gradient_norm.svg"), table]


def _cell_norms(cell: str, size: float, seed: int, seen: Callable[[], object]) -> np.ndarray:
    """Return the norm at k = 0 ... STEPS, the geometric mean over the examples, for a cell at initialisation."""
    keras.utils.set_random_seed(seed)
    layer = make_cell(cell, UNITS)
    layer.build((None, INPUTS))
    rng = np.random.default_rng(seed)
    inputs = size * rng.normal(size=(EXAMPLES, 2 * STEPS, INPUTS))
    norms = state_gradient_norms(layer, inputs, _unit_vectors(rng))
    seen()
    return norms


def state_gradient_norms(layer: Cell, inputs: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Return the norm of the gradient of u . h_T by the state k steps before, (STEPS + 1,), for inputs (N, T, D)."""
    states = layer.get_initial_state(len(inputs))
    with tf.GradientTape(persistent=True) as tape:
        handed = []
        for x in tf.unstack(tf.constant(inputs, layer.compute_dtype), axis=1):
            # A copy, so that the gradient by h leaves out what h does as a part of the same step's output.
            states = [tf.identity(state) for state in states]
            tape.watch(states)
            handed.append(states)
            states = layer.advance(layer.project(x), states)
        last = [tf.identity(state) for state in states]
        tape.watch(last)
        handed.append(last)
        loss = tf.reduce_sum(last[0] * tf.constant(u, layer.compute_dtype))
    back = handed[: -STEPS - 2 : -1]  # k = 0 ... STEPS
    gradients = tape.gradient(loss, back, unconnected_gradients="zero")
    return np.array([_norm([each.numpy() for each in state]) for state in gradients])


def _rnn_norms(
    start: Callable[[np.random.Generator], np.ndarray], seed: int, seen: Callable[[], object]
) -> tuple[np.ndarray, np.ndarray]:
    """Measure the NumPy network and, with the same weights and inputs, the Keras cell."""
    rng = np.random.default_rng(seed)
    bound = np.sqrt(6 / (INPUTS + UNITS))  # Glorot's uniform distribution, as in the Keras cell
    Wx, Wh, b = rng.uniform(-bound, bound, (INPUTS, UNITS)), start(rng), np.zeros(UNITS)
    inputs, u = 0.1 * rng.normal(size=(EXAMPLES, 2 * STEPS, INPUTS)), _unit_vectors(rng)

    first, window = TimeRNN(Wx, Wh, b), TimeRNN(Wx, Wh, b)
    norms = [_norm([u])]
    window.h = first.forward(inputs[:, :-STEPS])[:, -1]
    window.forward(inputs[:, -STEPS:])
    dh = u
    for step in reversed(window.cache):  # what `TimeRNN.backward` does, looked at after each step
        _, dh = step.backward(dh)
        norms.append(_norm([dh]))

    layer = make_cell("rnn", UNITS, dtype="float64")
    layer.build((None, INPUTS))
    layer.set_weights([Wx, Wh, b])
    in_keras = state_gradient_norms(layer, inputs, u)
    seen()
    return np.array(norms), in_keras


def _unit_vectors(rng: np.random.Generator) -> np.ndarray:
    u = rng.normal(size=(EXAMPLES, UNITS))
    return u / np.linalg.norm(u, axis=1, keepdims=True)


def _norm(parts: Sequence[np.ndarray]) -> float:
    """Return the geometric mean over the examples: on a logarithmic scale, the middle."""
    norms = np.linalg.norm(np.concatenate(parts, axis=-1), axis=-1)
    return float(np.exp(np.log(np.maximum(norms, 1e-30)).mean()))


def _middle(curves: Sequence[np.ndarray]) -> np.ndarray:
    return np.exp(np.log(np.array(curves)).mean(axis=0))


def _plot(axes: Axes, curves: Sequence[np.ndarray], colour: str, label: str, **style: str) -> None:
    """Draw the mean of the draws, and from the least to the most."""
    k = np.arange(STEPS + 1)
    axes.plot(k, _middle(curves), color=colour, label=label, markevery=MARKED, **style)
    axes.fill_between(k, np.min(curves, axis=0), np.max(curves, axis=0), color=colour, alpha=0.15, linewidth=0)


def _rows(name: str, curves: Sequence[np.ndarray]) -> list[tuple]:
    middle, least, most = _middle(curves), np.min(curves, axis=0), np.max(curves, axis=0)
    return [
        (f'"{name}"', k, float(middle[k]), float(least[k]), float(most[k])) for k in range(0, STEPS + 1, MARKED // 2)
    ]

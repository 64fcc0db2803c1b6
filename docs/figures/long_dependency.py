"""A name to remember: accuracy against distance for the RNN, the GRU and the LSTM, equally large and equally trained.

    Tom was watching TV . Mary came in . <N other words> Mary said hi to ___

The network reads a word a step and must say, after the last one, which of the eight names is greeted: the first one,
though the second was read twice and later. For each N there is a network of its own, trained and tested with it.
"""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from captioner.layers.cells import make_cell
from docs.figures.gradient_norm import MARKED, STEPS, state_gradient_norms
from docs.figures.style import CELL_COLOURS, CELL_MARKERS, CELL_NAMES, GREY, INK, new_figure, save, write_csv

NAMES = ("Tom", "Mary", "John", "Anna", "Paul", "Lucy", "Mark", "Jane")
FIRST, SECOND, LAST = "was watching TV .", "came in .", "said hi to"
OTHERS = (
    "the dog slept by the fire .",
    "a bird sang in the garden .",
    "it was raining all day .",
    "the old clock struck nine .",
    "a letter lay on the table .",
    "the window was open .",
)
WORDS = (*NAMES, *sorted({word for text in (FIRST, SECOND, LAST, *OTHERS) for word in text.split()}))
_NUMBER = {word: number for number, word in enumerate(WORDS)}

FILLERS = (0, 3, 6, 10, 20)
"""Words between the second name's coming and the greeting (N)."""

NEAREST = len(f"X {FIRST} X {SECOND} X {LAST}".split())
"""Words from the first name to the blank, if N is 0."""

UNITS, EMBEDDING, BATCH, TRAINING_STEPS, SEEDS, TESTED = 64, 32, 32, 500, 3, 500

NETWORKS = (("rnn", 1.0), ("gru", 1.0), ("lstm", 1.0), ("rnn", 0.5))
"""Cells, and the standard deviation of the word vectors' numbers as they start: 1 is enough to bend the tanh."""

LONG = 60
"""N of the sentences on which the gradients of the networks are measured that were trained with the least N."""


def draw(folder: Path) -> list[Path]:
    """Train all networks, and draw how often they are right and how much gradient they have left."""
    distances = NEAREST + np.array(FILLERS)
    rows: list[tuple] = []
    figure = new_figure(4.3)
    accuracy, gradient = figure.subplots(1, 2, width_ratios=(1.25, 1))
    accuracy.axhline(1 / len(NAMES), color=GREY, linestyle=":", linewidth=1.3, label="chance, 1 in 8")
    trainings = len(NETWORKS) * SEEDS * len(FILLERS)
    with tqdm(total=trainings * TRAINING_STEPS, desc="long_dependency", leave=False) as bar:
        for cell, size in NETWORKS:
            right, norms = np.empty((SEEDS, len(FILLERS))), []
            network = _Network(cell, size)
            for seed in range(SEEDS):
                for number, fill in enumerate(FILLERS):
                    network.train(fill, seed, bar.update)
                    unseen = np.random.default_rng([seed, fill])
                    texts, names = sentences(unseen, TESTED, fill)
                    right[seed, number] = (network.answers(texts) == names).mean()
                    if number == 0:
                        norms.append(network.gradient_norms(unseen))
            means = right.mean(axis=0)
            rows += [
                (cell, size, *map(float, (distance, mean, each.min(), each.max())))
                for distance, mean, each in zip(distances, means, right.T, strict=True)
            ]
            soft = size < 1
            name = f"{CELL_NAMES[cell]}, inputs {size:g}"
            look = {"color": INK if soft else CELL_COLOURS[cell], "linestyle": "--" if soft else "-"}
            middle = np.exp(np.log(np.array(norms)).mean(axis=0))
            for axes, x, mean, seeds, step in (
                (accuracy, distances, means, right, 1),
                (gradient, np.arange(STEPS + 1), middle, norms, MARKED),
            ):
                for each in seeds:
                    axes.plot(x, each, linewidth=0.9, alpha=0.5, **look)
                marker = "D" if soft else CELL_MARKERS[cell]
                axes.plot(x, mean, marker=marker, markevery=step, label=name, **look)
    accuracy.set(title="Who is greeted?", xlabel="words from name to blank", ylabel="share of right answers")
    accuracy.set(ylim=(0, 1.04), xticks=distances)
    figure.legend(*accuracy.get_legend_handles_labels(), fontsize=9.5, loc="outside lower center", ncols=5)
    gradient.set(title=f"Gradient left, trained on {NEAREST} words", xlabel="steps back, k")
    gradient.set(yscale="log", xlim=(0, STEPS), ylabel="norm of the gradient")
    table = write_csv(folder / "long_dependency.csv", ("cell", "inputs", "distance", "mean", "least", "most"), rows)
    return [save(figure, folder / "long_dependency.svg"), table]


def sentences(rng: np.random.Generator, count: int, fill: int) -> tuple[np.ndarray, np.ndarray]:
    """Make `count` sentences with `fill` words in between: numbers of words (count, T), of right names (count,)."""
    first, second = rng.random((count, len(NAMES))).argsort(axis=1)[:, :2].T  # two different names
    others = [OTHERS[number] for number in rng.integers(len(OTHERS), size=count + fill)]
    stream = _numbers(" ".join(others))
    ends = np.cumsum([len(text.split()) for text in others])[-count:]  # the last word is that of a sentence
    between = stream[ends[:, None] - fill + np.arange(fill)]  # (count, fill)

    def alike(text: str) -> np.ndarray:
        return np.tile(_numbers(text), (count, 1))

    parts = [first[:, None], alike(FIRST), second[:, None], alike(SECOND), between, second[:, None], alike(LAST)]
    return np.concatenate(parts, axis=1).astype(np.int32), first.astype(np.int32)


def _numbers(text: str) -> np.ndarray:
    return np.array([_NUMBER[word] for word in text.split()])


class _Network:
    """A network that can be trained again and again from new weights, so that its step is compiled once."""

    def __init__(self, cell: str, size: float) -> None:
        vectors = keras.initializers.RandomNormal(stddev=size)
        self.embedding = keras.layers.Embedding(len(WORDS), EMBEDDING, embeddings_initializer=vectors)
        self.cell = make_cell(cell, UNITS)
        self.output = keras.layers.Dense(len(NAMES))
        self.layers = (self.embedding, self.cell, self.output)
        self.widths = (None, EMBEDDING, UNITS)
        for layer, width in zip(self.layers, self.widths, strict=True):
            layer.build((None, width))
        self.variables = [variable for layer in self.layers for variable in layer.trainable_variables]
        self.optimizer = keras.optimizers.Adam(2e-3, global_clipnorm=1.0)
        self.optimizer.build(self.variables)
        self.begin = [keras.ops.convert_to_numpy(variable) for variable in self.optimizer.variables]
        self.step = tf.function(self._step, autograph=False)  # one graph for each length

    def train(self, fill: int, seed: int, seen: Callable[[], object]) -> None:
        """Begin anew, and train on sentences with `fill` words in between."""
        keras.utils.set_random_seed(seed)
        for layer, width in zip(self.layers, self.widths, strict=True):
            again = type(layer).from_config(layer.get_config())
            again.build((None, width))
            layer.set_weights(again.get_weights())
        for variable, value in zip(self.optimizer.variables, self.begin, strict=True):
            variable.assign(value)
        rng = np.random.default_rng(seed)
        for _ in range(TRAINING_STEPS):
            self.step(*map(tf.constant, sentences(rng, BATCH, fill)))
            seen()

    def scores(self, texts: tf.Tensor) -> tf.Tensor:
        """Return a score for each name (N, 8), for texts (N, T): the state after the last word decides."""
        inputs = self.cell.project(self.embedding(texts))  # (N, T, G*U)
        _, states = self.cell.unroll(inputs, self.cell.get_initial_state(texts.shape[0]))
        return self.output(states[0])

    def answers(self, texts: np.ndarray) -> np.ndarray:
        """Return the number of the likeliest name for each text."""
        return self.scores(tf.constant(texts)).numpy().argmax(axis=-1)

    def gradient_norms(self, rng: np.random.Generator) -> np.ndarray:
        """Measure as `gradient_norm` does in untrained cells, on long sentences."""
        texts, _ = sentences(rng, 32, LONG)
        u = rng.normal(size=(len(texts), UNITS))
        u /= np.linalg.norm(u, axis=1, keepdims=True)
        return state_gradient_norms(self.cell, keras.ops.convert_to_numpy(self.embedding(texts)), u)

    def _step(self, texts: tf.Tensor, names: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(names, self.scores(texts))
            loss = tf.reduce_mean(losses)
        self.optimizer.apply(tape.gradient(loss, self.variables), self.variables)

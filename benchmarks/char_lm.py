"""Characters a second: training against `keras.layers.SimpleRNN`, and generation against `model.predict`.

    python benchmarks/char_lm.py [--steps 20] [--characters 2000] [--cell rnn]

The networks have the same sizes (those of `CharModelConfig`), skips, normalisation, dropout, optimiser and windows, and
take turns, step by step, in one process; the medians are told. Weights are random, which costs the same.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from captioner.config import CharModelConfig, CharTrainingConfig
from captioner.models.char_lm import CharModel
from captioner.runtime.char_lm import LanguageModel
from captioner.runtime.char_network import CharNetwork
from captioner.text import CharacterVocabulary
from captioner.training.char_step import CharStep
from captioner.training.optimizer import make_optimizer

LETTERS = "".join(chr(code) for code in range(32, 97))
STOCK = {"rnn": keras.layers.SimpleRNN, "gru": keras.layers.GRU, "lstm": keras.layers.LSTM}


class StockModel(keras.Model):
    """The network of `CharModel`, made of Keras's own recurrent layers as they come."""

    def __init__(self, config: CharModelConfig) -> None:
        super().__init__()
        self.config = config
        layers = range(config.layers)
        self.embedding = keras.layers.Embedding(config.vocabulary_size, config.embedding_dim)
        self.recurrent = [
            STOCK[config.cell](config.hidden_size, return_sequences=True, return_state=True) for _ in layers
        ]
        self.norms = [keras.layers.LayerNormalization() for _ in layers]
        self.dropout = keras.layers.Dropout(config.dropout, noise_shape=(None, 1, None))
        self.output_projection = keras.layers.Dense(config.vocabulary_size)

    def initial_states(self, batch_size: int) -> list[Any]:
        """Return zeros (B, U)."""
        states = 2 if self.config.cell == "lstm" else 1
        return [ops.zeros((batch_size, self.config.hidden_size)) for _ in range(self.config.layers * states)]

    def call(self, tokens: Any, states: Sequence[Any], training: bool = False) -> tuple[Any, list[Any]]:
        """Do as `CharModel.call`."""
        inputs, after = self.embedding(tokens), []
        each = len(states) // self.config.layers
        for number, layer in enumerate(self.recurrent):
            read, *own = layer(inputs, initial_state=list(states[number * each : (number + 1) * each]))
            after += own
            inputs = self.dropout(self.norms[number](read + inputs if number else read), training=training)
        return self.output_projection(inputs), after


class Training:
    """A network that is trained window by window, with the seconds of each."""

    def __init__(self, network: keras.Model, training: CharTrainingConfig) -> None:
        shape = (training.batch_size, training.sequence_length)
        tokens = np.random.default_rng(0).integers(2, len(LETTERS) + 2, shape).astype(np.int32)
        network(tokens[:, :2], network.initial_states(training.batch_size))
        self._window = (tf.constant(tokens), tf.constant(tokens))
        self._states = [tf.convert_to_tensor(state) for state in network.initial_states(training.batch_size)]
        self._graph = tf.function(CharStep(network, make_optimizer(network, training, 1000))._run)
        self.seconds: list[float] = []
        self.step()  # traces, which does not count

    def step(self) -> None:
        """Train on one window."""
        began = time.perf_counter()
        loss, self._states = self._graph(*self._window, self._states)
        loss.numpy()
        self.seconds.append(time.perf_counter() - began)


def main() -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--characters", type=int, default=2000)
    parser.add_argument("--cell", choices=list(STOCK), default="rnn")
    arguments = parser.parse_args()
    config = CharModelConfig(cell=arguments.cell, vocabulary_size=len(LETTERS) + 2)
    training = CharTrainingConfig()
    measure_training(config, training, arguments.steps)
    print()
    measure_generation(config, arguments.characters)


def measure_training(config: CharModelConfig, training: CharTrainingConfig, steps: int) -> None:
    """Print characters a second of training."""
    stock = f"keras.layers.{STOCK[config.cell].__name__}"
    runs = {
        stock: Training(StockModel(config), training),
        "captioner, float32": Training(CharModel(config), training),
        "captioner, mixed_bfloat16": Training(CharModel(config, dtype="mixed_bfloat16"), training),
    }
    for _ in range(steps):
        for run in runs.values():
            run.step()
    medians = {name: statistics.median(run.seconds[1:]) for name, run in runs.items()}
    characters = training.batch_size * training.sequence_length
    print(f"| training, {config.layers} x {config.hidden_size} | characters a second | of the stock layer |")
    print("|---|---|---|")
    for name, median in medians.items():
        print(f"| {name} | {characters / median:,.0f} | {medians[stock] / median:.2f} x |")


def measure_generation(config: CharModelConfig, characters: int) -> None:
    """Print characters a second of generation."""
    network = CharModel(config)
    states = network.initial_states(1)
    inputs = [keras.Input((1,), dtype="int32"), *(keras.Input(state.shape[1:]) for state in states)]
    logits, after = network(inputs[0], inputs[1:])
    predictor = keras.Model(inputs, [logits, *after])
    rng = np.random.default_rng(0)

    def by_predict(count: int) -> None:
        token, held = np.array([[2]]), [ops.convert_to_numpy(state) for state in states]
        for _ in range(count):
            logits, *held = predictor.predict([token, *held], verbose=0)
            token = np.array([[rng.choice(config.vocabulary_size, p=np.asarray(ops.softmax(logits[0, 0])))]])

    model = LanguageModel(CharacterVocabulary.build(LETTERS), CharNetwork(config, network.named_weights()))
    by_predict(3)
    rates = {}
    for name, generate, count in (
        ("model.predict", by_predict, max(20, characters // 50)),
        ("captioner", lambda count: list(model.generate("", count, rng=rng)), characters),
    ):
        began = time.perf_counter()
        generate(count)
        rates[name] = count / (time.perf_counter() - began)
    print("| generation | characters a second | |\n|---|---|---|")
    for name, rate in rates.items():
        print(f"| {name} | {rate:,.0f} | {rate / rates['model.predict']:.0f} x |")


if __name__ == "__main__":
    main()

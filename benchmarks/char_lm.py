"""Characters a second: training against `keras.layers.SimpleRNN`, and generation against `model.predict`.

    python benchmarks/char_lm.py [--rounds 10] [--characters 2000] [--cell rnn]

The networks have the same sizes (those of `CharModelConfig`), skips, normalisation, dropout, optimiser and windows.
Keras's layers are used in the two ways that its documentation shows: `keras.layers.SimpleRNN`, and `keras.layers.RNN`
over `SimpleRNNCell` (GRU and LSTM likewise). All take turns, a few windows each; medians are printed. Weights are
random, which costs the same.
"""

import argparse
import os
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
from contenders import Contender, Orders, time_in_turns
from keras import ops

from captioner.config.model import CharModelConfig
from captioner.config.training import CharTrainingConfig
from captioner.models.char_lm import CharModel
from captioner.runtime.char_lm import LanguageModel
from captioner.runtime.char_network import CharNetwork
from captioner.text import CharacterVocabulary
from captioner.training.optimizer import make_optimizer
from captioner.training.precision import choose_precision
from captioner.training.stages.char_lm import CharLoss
from captioner.training.step import Step

LETTERS = "".join(chr(code) for code in range(32, 97))
STOCK = {"rnn": keras.layers.SimpleRNN, "gru": keras.layers.GRU, "lstm": keras.layers.LSTM}
CELLS = {"rnn": keras.layers.SimpleRNNCell, "gru": keras.layers.GRUCell, "lstm": keras.layers.LSTMCell}
WINDOWS = 2
"""Windows of a turn."""


class StockModel(keras.Model):
    """The network of `CharModel`, made of Keras's own recurrent layers as they come, or of `RNN` over its cells."""

    def __init__(self, config: CharModelConfig, over_cells: bool) -> None:
        super().__init__()
        self.config = config
        layers = range(config.layers)
        self.embedding = keras.layers.Embedding(config.vocabulary_size, config.embedding_dim)
        several = {"return_sequences": True, "return_state": True}
        self.recurrent = [
            keras.layers.RNN(CELLS[config.cell](config.hidden_size), **several)
            if over_cells
            else STOCK[config.cell](config.hidden_size, **several)
            for _ in layers
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


def contend(kind: str, config: CharModelConfig) -> Orders:
    """Return a contender that trains `WINDOWS` windows when told to `run`."""
    training = CharTrainingConfig()
    network: keras.Model = (
        StockModel(config, over_cells=kind == "cells") if kind in ("layer", "cells") else CharModel(config, dtype=kind)
    )
    shape = (training.batch_size, training.sequence_length)
    tokens = np.random.default_rng(0).integers(2, len(LETTERS) + 2, shape).astype(np.int32)
    network(tokens[:, :2], network.initial_states(training.batch_size))
    optimizer = make_optimizer(network.trainable_variables, training, 1000)
    if kind not in ("layer", "cells"):
        step = Step(CharLoss(network), optimizer, network.trainable_variables)
        return {"run": lambda: step.over([{"inputs": tokens, "targets": tokens}] * WINDOWS)}

    @tf.function(autograph=False)
    def train(tokens: tf.Tensor, states: list[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            logits, after = network(tokens, states, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(tokens, logits))
        variables = network.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss, after

    def run() -> None:
        states = [tf.convert_to_tensor(state) for state in network.initial_states(training.batch_size)]
        for _ in range(WINDOWS):
            loss, states = train(tf.constant(tokens), states)
            loss.numpy()

    return {"run": run}


def main() -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--characters", type=int, default=2000)
    parser.add_argument("--cell", choices=list(STOCK), default="rnn")
    arguments = parser.parse_args()
    config = CharModelConfig(cell=arguments.cell, vocabulary_size=len(LETTERS) + 2)
    measure_training(config, arguments.rounds)
    print()
    measure_generation(config, arguments.characters)


def measure_training(config: CharModelConfig, rounds: int) -> None:
    """Print characters a second of training."""
    best = choose_precision("auto")
    layer, cells = f"keras.layers.{STOCK[config.cell].__name__}", f"keras.layers.RNN({CELLS[config.cell].__name__})"
    kinds = {layer: "layer", cells: "cells", "captioner, float32": "float32"}
    if best != "float32":
        kinds[f"captioner, {best}"] = best
    contenders = {
        name: Contender(contend, kind, config, a_core_a_shard=name.startswith("captioner"))
        for name, kind in kinds.items()
    }
    medians = time_in_turns(contenders, rounds)
    training = CharTrainingConfig()
    characters = WINDOWS * training.batch_size * training.sequence_length
    size = f"{config.layers} x {config.hidden_size}"
    print(f"| training, {size} | characters a second | of {layer} | of {cells} |\n|---|---|---|---|")
    for name, median in medians.items():
        ratios = " | ".join(f"{medians[stock] / median:.2f} x" for stock in (layer, cells))
        print(f"| {name} | {characters / median:,.0f} | {ratios} |")


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

"""Layers small enough to count their weights by hand, and what every layer must keep to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest

from captioner.layers.attention import BahdanauAttention
from captioner.layers.cells import make_cell
from captioner.layers.decoder import Decoder

B, K, L, T, D, E, A, U, V = 2, 3, 4, 2, 6, 5, 7, 8, 9
CELLS = ("rnn", "gru", "lstm")
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
STATES = {"rnn": 1, "gru": 1, "lstm": 2}


@dataclass
class Case:
    """A layer, made and called in one way.

    Attributes:
        make: builds the layer under a dtype policy.
        run: inputs in, one array out that depends on every weight.
        inputs: float or integer arrays.
        shape: of what `run` returns.
        weights: numbers in all weights together, by formula.
        arguments: those that the layer was made with.
    """

    make: Callable[[str], keras.layers.Layer]
    run: Callable[[keras.layers.Layer, list[Any]], Any]
    inputs: list[np.ndarray]
    shape: tuple[int, ...]
    weights: int
    arguments: dict[str, Any]


def _cell(name: str) -> Case:
    def make(dtype):
        cell = make_cell(name, U, dtype=dtype)
        cell.build((None, D))
        return cell

    draw = np.random.default_rng(1)
    count = GATES[name] * (D * U + U * U + U) + (U if name == "gru" else 0)
    return Case(
        make,
        lambda cell, inputs: cell(inputs[0], inputs[1:])[0],
        [draw.normal(size=(B, size)).astype(np.float32) for size in (D, *[U] * STATES[name])],
        (B, U),
        count,
        {"units": U},
    )


def _attention() -> Case:
    def make(dtype):
        attention = BahdanauAttention(A, dtype=dtype)
        attention.build((None, None, U), (None, None, D))
        return attention

    def run(attention, inputs):
        query, values = inputs
        return attention(query, attention.keys(values), values)[0]

    draw = np.random.default_rng(2)
    shapes = (B, K, U), (B, L, D)
    inputs = [draw.normal(size=shape).astype(np.float32) for shape in shapes]
    return Case(make, run, inputs, (B, K, D), D * A + A + U * A + A, {"attention_dim": A})


def _decoder(name: str) -> Case:
    arguments = {
        "cell": name,
        "hidden_size": U,
        "embedding_dim": E,
        "attention_dim": A,
        "vocabulary_size": V,
        "dropout": 0.25,
    }

    def make(dtype):
        decoder = Decoder(**arguments, dtype=dtype)
        decoder.build((None, L, D))
        return decoder

    draw = np.random.default_rng(3)
    inputs = [draw.normal(size=(B, L, D)).astype(np.float32), draw.integers(V, size=(B, K, T)).astype(np.int32)]
    count = (
        (D * U + U + 2 * U)  # the regions and their normalisation
        + V * E
        + (U * A + A + U * A + A)  # attention
        + (U * U + U)  # gate
        + GATES[name] * (E * U + U * U + U + U * U)  # the cell, with both halves of its W_x
        + (U if name == "gru" else 0)
        + STATES[name] * (U * U + U)
        + ((2 * U + E) * E + E)  # deep output
        + (E * V + V)
    )

    def run(decoder, inputs):
        return decoder.logits(decoder(*inputs))

    return Case(make, run, inputs, (B, K, T, V), count, arguments)


@pytest.fixture(params=[*CELLS, "attention", *(f"decoder-{name}" for name in CELLS)])
def case(request) -> Case:
    if request.param == "attention":
        return _attention()
    return _decoder(request.param.removeprefix("decoder-")) if "-" in request.param else _cell(request.param)


@pytest.fixture
def shake() -> Callable[[keras.layers.Layer], None]:
    """Give every weight, biases too, values away from their initial ones, or a test would not see them."""

    def fill(layer):
        draw = np.random.default_rng(4)
        layer.set_weights([draw.uniform(-0.8, 0.8, weight.shape) for weight in layer.weights])

    return fill

"""The caption decoder's arithmetic in NumPy: no start-up time, and no call of a framework a word.

It is `captioner.layers.decoder.Decoder` with the cells of `captioner.layers.cells`; a test holds the two equal.
"""

from collections.abc import Mapping

import numpy as np

from captioner.config import DecoderConfig
from captioner.decoding.step import Step
from captioner.runtime.cells import GATES, STATES, advance, sigmoid
from captioner.runtime.normalisation import normalised
from captioner.runtime.panels import Panels


def weight_shapes(config: DecoderConfig) -> dict[str, tuple[int, ...]]:
    """Name the weights of a decoder, as `CaptionModel.named_weights` does, with their shapes."""
    U, E, A, V = config.hidden_size, config.embedding_dim, config.attention_dim, config.vocabulary_size
    width = GATES[config.cell] * U
    shapes: dict[str, tuple[int, ...]] = {
        "place/kernel": (config.channels, U),
        "place/bias": (U,),
        "place_norm/gamma": (U,),
        "place_norm/beta": (U,),
        "embedding/embeddings": (V, E),
        "attention/scale": (A, 1),
        "attention/key/kernel": (U, A),
        "attention/key/bias": (A,),
        "attention/query/kernel": (U, A),
        "gate/kernel": (U, U),
        "gate/bias": (U,),
        "cell/kernel": (E, width),
        "cell/recurrent_kernel": (U, width),
        "cell/bias": (width,),
        "context/kernel": (U, width),
        "deep/kernel": (2 * U + E, E),
        "deep/bias": (E,),
        "output_projection/kernel": (E, V),
        "output_projection/bias": (V,),
    }
    if config.cell == "gru":
        shapes["cell/candidate_bias"] = (U,)
    for number in range(STATES[config.cell]):
        shapes[f"start_{number}/kernel"], shapes[f"start_{number}/bias"] = (U, U), (U,)
    return shapes


class DecoderNetwork:
    """A decoder's weights, and what it predicts.

    Args:
        config: the sizes.
        weights: arrays by name, of the shapes that `weight_shapes` gives.
    """

    def __init__(self, config: DecoderConfig, weights: Mapping[str, np.ndarray]) -> None:
        self.config = config
        self._weights = {name: np.asarray(value, np.float32) for name, value in weights.items()}
        U = config.hidden_size
        self._panels = {
            name: Panels(self._weights[f"{name}/kernel"]) for name in ("cell", "context", "deep", "output_projection")
        }
        # What is multiplied with the state stands side by side: one call a step.
        on_state = ("gate/kernel", "attention/query/kernel", "cell/recurrent_kernel")
        self._panels["state"] = Panels(np.hstack([self._weights[name] for name in on_state]))  # (U, U + A + G*U)
        self._split = np.cumsum([U, config.attention_dim])
        self._scale = self._weights["attention/scale"][:, 0]

    def start(self, features: np.ndarray) -> tuple[Step, list[np.ndarray]]:
        """Begin sentences for images with features (B, L, D).

        Returns:
            the step that a search takes (`captioner.decoding.step`), which looks at these images, and the states
            (B, 1, U) before the first word.
        """
        named = self._weights
        places = np.asarray(features, np.float32) @ named["place/kernel"] + named["place/bias"]
        values = normalised(places, named["place_norm/gamma"], named["place_norm/beta"])  # (B, L, U)
        keys = values @ named["attention/key/kernel"] + named["attention/key/bias"]  # (B, L, A)

        def step(tokens: np.ndarray, states: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
            return self._step(tokens, states, values, keys)

        mean = values.mean(axis=1, keepdims=True)  # (B, 1, U)
        numbers = range(STATES[self.config.cell])
        return step, [np.tanh(mean @ named[f"start_{n}/kernel"] + named[f"start_{n}/bias"]) for n in numbers]

    def _step(
        self, tokens: np.ndarray, states: list[np.ndarray], values: np.ndarray, keys: np.ndarray
    ) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
        """Take tokens (B, K) and states (B, K, U) -> log-probabilities (B, K, V), states, attention (B, K, L)."""
        named, panels = self._weights, self._panels
        words = named["embedding/embeddings"][tokens]  # (B, K, E)
        gate, query, recurrent = np.split(panels["state"].product(states[0]), self._split, axis=-1)
        fit = keys[:, None] + query[:, :, None]  # (B, K, L, A)
        np.tanh(fit, out=fit)
        attention = _softmax(fit @ self._scale)  # (B, K, L)
        context = sigmoid(gate + named["gate/bias"]) * (attention @ values)  # (B, K, U)
        projected = panels["cell"].product(words) + named["cell/bias"] + panels["context"].product(context)
        after = advance(self.config.cell, projected, recurrent, states, named.get("cell/candidate_bias"))
        read = np.concatenate([after[0], context, words], axis=-1)  # (B, K, 2*U+E)
        deep = np.tanh(panels["deep"].product(read) + named["deep/bias"])  # (B, K, E)
        logits = panels["output_projection"].product(deep)
        logits += named["output_projection/bias"]  # (B, K, V)
        logits -= logits.max(axis=-1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        return logits, after, attention


def _softmax(x: np.ndarray) -> np.ndarray:
    x = np.exp(x - x.max(axis=-1, keepdims=True))
    return x / x.sum(axis=-1, keepdims=True)

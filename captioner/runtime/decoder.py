"""The caption decoder in NumPy: no start-up time, and no framework call per word.

It is `captioner.layers.decoder.Decoder` with the cells of `captioner.layers.cells`; a test holds the two equal.
"""

from collections.abc import Mapping

import numpy as np

from captioner.config.model import STATES, DecoderConfig
from captioner.decoding.step import Step
from captioner.model_files.decoder_weights import weight_shapes
from captioner.runtime.blocked_matmul import BlockedMatrix
from captioner.runtime.cells import advance, sigmoid
from captioner.runtime.normalisation import normalised
from captioner.text import Vocabulary

__all__ = ["DecoderNetwork", "weight_shapes"]


class DecoderNetwork:
    """A decoder in NumPy: its weights, and its predictions.

    Args:
        config: the sizes.
        weights: arrays by name, of the shapes that `weight_shapes` gives.
    """

    def __init__(self, config: DecoderConfig, weights: Mapping[str, np.ndarray]) -> None:
        self.config = config
        self._weights = {name: np.asarray(value, np.float32) for name, value in weights.items()}
        U = config.hidden_size
        self._panels = {
            name: BlockedMatrix(self._weights[f"{name}/kernel"])
            for name in ("cell", "context", "deep", "output_projection")
        }
        # What is multiplied with the state stands side by side: one call a step.
        on_state = ("gate/kernel", "attention/query/kernel", "cell/recurrent_kernel")
        self._panels["state"] = BlockedMatrix(np.hstack([self._weights[name] for name in on_state]))  # (U, U + A + G*U)
        self._split = np.cumsum([U, config.attention_dim])
        self._scale = self._weights["attention/scale"][:, 0]

    def start(self, features: np.ndarray) -> tuple[Step, list[np.ndarray]]:
        """Begin sentences for images with features (B, L, D).

        Returns:
            the step that a search takes (`captioner.decoding.step`), which looks at these images, and the states
            (B, 1, U) before the first word.
        """
        named = self._weights
        regions = np.asarray(features, np.float32) @ named["place/kernel"] + named["place/bias"]
        values = normalised(regions, named["place_norm/gamma"], named["place_norm/beta"])  # (B, L, U)
        keys = values @ named["attention/key/kernel"] + named["attention/key/bias"]  # (B, L, A)

        def step(tokens: np.ndarray, states: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
            return self._step(tokens, states, values, keys)

        mean = values.mean(axis=1, keepdims=True)  # (B, 1, U)
        numbers = range(STATES[self.config.cell])
        return step, [np.tanh(mean @ named[f"start_{n}/kernel"] + named[f"start_{n}/bias"]) for n in numbers]

    def _step(
        self, tokens: np.ndarray, states: list[np.ndarray], values: np.ndarray, keys: np.ndarray
    ) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
        """Take tokens (B, K) and states (B, K, U) -> log-probabilities (B, K, V), states, attention (B, K, L).

        Slots that are out of use (`captioner.decoding.step`) are left out of the products, and answered with zeros.
        """
        named, panels = self._weights, self._panels
        used = tokens != Vocabulary.end  # (B, K), R of them
        words = named["embedding/embeddings"][tokens[used]]  # (R, E)
        before = [state[used] for state in states]  # (R, U)
        gate, query, recurrent = np.split(panels["state"].product(before[0]), self._split, axis=-1)
        attention, context = self._attend(query, np.count_nonzero(used, axis=1), values, keys)  # (R, L), (R, U)
        context *= sigmoid(gate + named["gate/bias"])
        projected = panels["cell"].product(words) + named["cell/bias"] + panels["context"].product(context)
        after = advance(self.config.cell, projected, recurrent, before, named.get("cell/candidate_bias"))
        read = np.concatenate([after[0], context, words], axis=-1)  # (R, 2*U+E)
        deep = np.tanh(panels["deep"].product(read) + named["deep/bias"])  # (R, E)
        logits = panels["output_projection"].product(deep)
        logits += named["output_projection/bias"]  # (R, V)
        logits -= logits.max(axis=-1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        return _spread(logits, used), [_spread(state, used) for state in after], _spread(attention, used)

    def _attend(
        self, query: np.ndarray, counts: np.ndarray, values: np.ndarray, keys: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Look at the images with values (B, L, U) and keys (B, L, A), each as often as `counts` (B,) says.

        Args:
            query: (R, A), those of the first image first.

        Returns:
            attention weights (R, L) and contexts (R, U).
        """
        weights = np.empty((len(query), keys.shape[1]), np.float32)
        context = np.empty((len(query), values.shape[2]), np.float32)
        stop = 0
        for image, count in enumerate(counts):
            start, stop = stop, stop + count
            fit = keys[image] + query[start:stop, None]  # (K, L, A), small enough to stay in the core's cache
            np.tanh(fit, out=fit)
            weights[start:stop] = _softmax(fit @ self._scale)
            np.matmul(weights[start:stop], values[image], out=context[start:stop])
        return weights, context


def _spread(rows: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Put rows (R, N) into the R slots of (B, K) that are used: (B, K, N), zeros elsewhere."""
    if used.all():
        return rows.reshape(*used.shape, -1)
    spread = np.zeros((*used.shape, rows.shape[-1]), rows.dtype)
    spread[used] = rows
    return spread


def _softmax(x: np.ndarray) -> np.ndarray:
    x = np.exp(x - x.max(axis=-1, keepdims=True))
    return x / x.sum(axis=-1, keepdims=True)

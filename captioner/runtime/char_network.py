"""The character language model in NumPy: no start-up time, and no framework call per character.

It is the network of `captioner.models.char_lm` with the cells of `captioner.layers.cells`; a test holds the two equal.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from captioner.config.model import GATES, STATES, CharModelConfig
from captioner.runtime.cells import advance
from captioner.runtime.normalisation import normalised


def weight_shapes(config: CharModelConfig) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a character model's weights, by the names of `CharModel.named_weights`."""
    units, width = config.hidden_size, GATES[config.cell] * config.hidden_size
    shapes: dict[str, tuple[int, ...]] = {"embedding/embeddings": (config.vocabulary_size, config.embedding_dim)}
    for layer in range(1, config.layers + 1):
        shapes[f"cell_{layer}/kernel"] = (units if layer > 1 else config.embedding_dim, width)
        shapes[f"cell_{layer}/recurrent_kernel"] = (units, width)
        shapes[f"cell_{layer}/bias"] = (width,)
        if config.cell == "gru":
            shapes[f"cell_{layer}/candidate_bias"] = (units,)
        if config.layer_norm:
            shapes[f"norm_{layer}/gamma"] = shapes[f"norm_{layer}/beta"] = (units,)
    shapes["output_projection/kernel"] = (units, config.vocabulary_size)
    shapes["output_projection/bias"] = (config.vocabulary_size,)
    return shapes


class CharNetwork:
    """A character model in NumPy: its weights, and its predictions.

    Args:
        config: the sizes.
        weights: arrays by name, of the shapes that `weight_shapes` gives.
    """

    def __init__(self, config: CharModelConfig, weights: Mapping[str, np.ndarray]) -> None:
        self.config = config
        self._weights = {name: np.asarray(value, np.float32) for name, value in weights.items()}
        # Embedding and first projection are one table: a row of it for each character.
        self._table = self._weights["embedding/embeddings"] @ self._weights["cell_1/kernel"]  # (V, G*U)
        self._table += self._weights["cell_1/bias"]

    def initial_states(self, batch_size: int) -> list[np.ndarray]:
        """Return the states before a text, (B, U) each."""
        shape = (batch_size, self.config.hidden_size)
        return [np.zeros(shape, np.float32) for _ in range(self.config.layers * STATES[self.config.cell])]

    def __call__(self, tokens: np.ndarray, states: Sequence[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
        """Read a window: tokens (B, T), states (B, U) each -> log-probabilities (B, T, V) of what follows, states."""
        before, after = list(states), []
        inputs = np.empty(0)
        own_states = STATES[self.config.cell]
        for layer in range(1, self.config.layers + 1):
            own, before = before[:own_states], before[own_states:]
            if layer == 1:
                projected = self._table[tokens]  # (B, T, G*U)
            else:
                projected = inputs @ self._weights[f"cell_{layer}/kernel"] + self._weights[f"cell_{layer}/bias"]
            candidate_bias = self._weights.get(f"cell_{layer}/candidate_bias")
            read = np.empty((*tokens.shape, self.config.hidden_size), np.float32)
            for t in range(tokens.shape[1]):
                recurrent = own[0] @ self._weights[f"cell_{layer}/recurrent_kernel"]
                own = advance(self.config.cell, projected[:, t], recurrent, own, candidate_bias)
                read[:, t] = own[0]
            after += own
            if layer > 1:
                read += inputs
            inputs = read
            if self.config.layer_norm:
                inputs = normalised(read, *(self._weights[f"norm_{layer}/{name}"] for name in ("gamma", "beta")))
        logits = inputs @ self._weights["output_projection/kernel"] + self._weights["output_projection/bias"]
        logits -= logits.max(axis=-1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True)), after

"""The character language model's arithmetic in NumPy: no start-up time, and no call of a framework a character.

It is the network of `captioner.models.char_lm` with the cells of `captioner.layers.cells`; a test holds the two equal.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from captioner.config import CharModelConfig

NORM_EPSILON = 1e-3
"""What Keras's LayerNormalization adds to the variance."""

GATES = {"rnn": 1, "gru": 3, "lstm": 4}
STATES = {"rnn": 1, "gru": 1, "lstm": 2}


def weight_shapes(config: CharModelConfig) -> dict[str, tuple[int, ...]]:
    """Name the weights of a character model, as `CharModel.named_weights` does, with their shapes."""
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
    """A character model's weights, and what it predicts.

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
        advance = {"rnn": self._rnn, "gru": self._gru, "lstm": self._lstm}[self.config.cell]
        own_states = STATES[self.config.cell]
        for layer in range(1, self.config.layers + 1):
            own, before = before[:own_states], before[own_states:]
            if layer == 1:
                projected = self._table[tokens]  # (B, T, G*U)
            else:
                projected = inputs @ self._weights[f"cell_{layer}/kernel"] + self._weights[f"cell_{layer}/bias"]
            read = np.empty((*tokens.shape, self.config.hidden_size), np.float32)
            for t in range(tokens.shape[1]):
                own = advance(layer, projected[:, t], own)
                read[:, t] = own[0]
            after += own
            if layer > 1:
                read += inputs
            inputs = self._normalised(layer, read) if self.config.layer_norm else read
        logits = inputs @ self._weights["output_projection/kernel"] + self._weights["output_projection/bias"]
        logits -= logits.max(axis=-1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True)), after

    def _rnn(self, layer: int, projected: np.ndarray, states: list[np.ndarray]) -> list[np.ndarray]:
        return [np.tanh(projected + states[0] @ self._weights[f"cell_{layer}/recurrent_kernel"])]

    def _gru(self, layer: int, projected: np.ndarray, states: list[np.ndarray]) -> list[np.ndarray]:
        (h,) = states
        x_z, x_r, x_n = np.split(projected, 3, axis=-1)
        h_z, h_r, h_n = np.split(h @ self._weights[f"cell_{layer}/recurrent_kernel"], 3, axis=-1)
        update = _sigmoid(x_z + h_z)
        candidate = np.tanh(x_n + _sigmoid(x_r + h_r) * (h_n + self._weights[f"cell_{layer}/candidate_bias"]))
        return [update * h + (1 - update) * candidate]

    def _lstm(self, layer: int, projected: np.ndarray, states: list[np.ndarray]) -> list[np.ndarray]:
        h, c = states
        i, f, g, o = np.split(projected + h @ self._weights[f"cell_{layer}/recurrent_kernel"], 4, axis=-1)
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        return [_sigmoid(o) * np.tanh(c), c]

    def _normalised(self, layer: int, read: np.ndarray) -> np.ndarray:
        centred = read - read.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True)
        scale = self._weights[f"norm_{layer}/gamma"] / np.sqrt(variance + NORM_EPSILON)
        return centred * scale + self._weights[f"norm_{layer}/beta"]


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * x))  # no overflow

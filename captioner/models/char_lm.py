"""The character language model: a window of text in, the next character at each place out."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from captioner.config.model import CharModelConfig
from captioner.config.serialization import from_json, to_json
from captioner.layers.dropout import epoch_seed
from captioner.layers.stack import RecurrentStack


@keras.saving.register_keras_serializable("captioner")
class CharModel(keras.Model):
    """Logits of each next character of a text, which is read window by window with the state carried on.

    Args:
        config: the sizes.
    """

    def __init__(self, config: CharModelConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config
        dtype = self.dtype_policy
        self.embedding = keras.layers.Embedding(
            config.vocabulary_size, config.embedding_dim, name="embedding", dtype=dtype
        )
        self.stack = RecurrentStack(
            cell=config.cell,
            layers=config.layers,
            units=config.hidden_size,
            dropout=config.dropout,
            recurrent_dropout=config.recurrent_dropout,
            layer_norm=config.layer_norm,
            name="stack",
            dtype=dtype,
        )
        self.exact = keras.backend.result_type(self.compute_dtype, "float32")  # as in `layers.decoder`
        self.output_projection = keras.layers.Dense(config.vocabulary_size, name="output_projection", dtype=self.exact)
        self.embedding.build()
        self.stack.build((None, None, config.embedding_dim))
        self.output_projection.build((None, None, config.hidden_size))
        self.built = True

    def call(self, tokens: Any, states: Sequence[Any], training: bool = False) -> tuple[Any, list[Any]]:
        """Predict the next character after each given one.

        Args:
            tokens: int32 (B, T).
            states: those that the window before left, or `initial_states`; (B, U) each.
            training: whether to drop out.

        Returns:
            logits (B, T, V), float32 or wider, and the states after the window.
        """
        read, after = self.stack(self.embedding(tokens), states, training=training)
        return self.output_projection(ops.cast(read, self.exact)), after

    def initial_states(self, batch_size: int) -> list[Any]:
        """Return the states before a text."""
        return self.stack.initial_states(batch_size)

    def reseed(self, seed: int, epoch: int) -> None:
        """Make the coming dropout depend on these two numbers alone, so that a resumed epoch repeats itself."""
        for number, dropout in enumerate((self.stack.dropout, self.stack.recurrent_dropout)):
            if dropout.rate:  # without it Keras makes no generator
                dropout.seed_generator.state.assign(epoch_seed(seed, epoch, number))

    def set_character_frequencies(self, counts: np.ndarray) -> None:
        """Start the output bias at the log frequency of the characters, given their counts (V,) in the training text.

        Without it the first steps are spent on learning which characters are common.
        """
        self.output_projection.bias.assign(np.log((counts + 1.0) / (counts + 1.0).sum()))

    def divide_logits(self, temperature: float) -> None:
        """Make the output layer give logits / temperature."""
        for weight in self.output_projection.weights:
            weight.assign(weight / temperature)

    def named_weights(self) -> dict[str, np.ndarray]:
        """Return all weights by the names of layer and weight, such as `cell_1/kernel`."""
        return {"/".join(each.path.split("/")[-2:]): ops.convert_to_numpy(each) for each in self.weights}

    def set_named_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Fill the network with weights by name, as `named_weights` gives them."""
        for each in self.weights:
            each.assign(weights["/".join(each.path.split("/")[-2:])])

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "config": to_json(self.config)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "CharModel":
        """Build the model, without its weights, from what `get_config` gave."""
        return cls(**{**config, "config": from_json(CharModelConfig, config["config"], "CharModel")})

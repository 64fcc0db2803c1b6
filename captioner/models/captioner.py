"""The captioning network: an image's features and the words so far in, the next word out."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from captioner.config.model import DecoderConfig
from captioner.config.serialization import from_json, to_json
from captioner.decoding.step import Step
from captioner.layers.decoder import Decoder
from captioner.layers.dropout import epoch_seed
from captioner.text import SPECIAL_TOKENS


@keras.saving.register_keras_serializable("captioner")
class CaptionModel(keras.Model):
    """Logits of each next word of captions that are given (teacher forcing), and a step for those that are not.

    It trains with `fit` too, on batches of sentences of any length. With XLA, which Keras takes by default on a
    GPU, the length must be known: compile with `jit_compile=False` where it is not.

    Args:
        config: the sizes.
    """

    def __init__(self, config: DecoderConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.decoder = Decoder(
            cell=config.cell,
            hidden_size=config.hidden_size,
            embedding_dim=config.embedding_dim,
            attention_dim=config.attention_dim,
            vocabulary_size=config.vocabulary_size,
            dropout=config.dropout,
            name="decoder",
            dtype=self.dtype_policy,
        )
        self.decoder.build((None, config.locations, config.channels))
        self.built = True

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """Predict the next word after each given one.

        Args:
            inputs: `features` (B, L, D); `tokens` int32 (B, K, T), beginning with the start token, or (B, T) for one
                sentence an image; optionally `positions` int32 (N,), places in the flattened (B*K*T,) to predict at,
                so that padding costs no logits; optionally `active` int32 (T,), see
                `captioner.layers.decoder.Decoder.read`.
            training: whether to drop out.

        Returns:
            logits (B, K, T, V) or (B, T, V), or (N, V) at the positions.

        Raises:
            ValueError: an input is missing, or is of another rank, size or type.
        """
        _check_inputs(inputs, self.config.channels)
        tokens, positions = inputs["tokens"], inputs.get("positions")
        alone = len(tokens.shape) == 2
        memory = self.decoder.memory(inputs["features"], training)
        sentences = ops.expand_dims(tokens, 1) if alone else tokens
        logits = self.decoder.predict(memory, sentences, positions, training, inputs.get("active"))
        return ops.squeeze(logits, 1) if alone and positions is None else logits

    @property
    def layers(self) -> list[keras.layers.Layer]:
        """The parts of the decoder, which `summary` lists."""
        return self.decoder.parts

    def reseed(self, seed: int, epoch: int) -> None:
        """Make the coming dropout depend on these two numbers alone, so that a resumed epoch repeats itself."""
        if self.config.dropout:  # without it Keras makes no generator
            self.decoder.dropout.seed_generator.state.assign(epoch_seed(seed, epoch))

    def set_word_frequencies(self, counts: np.ndarray) -> None:
        """Start the output bias at the log frequency of the words, given their counts (V,) in the training captions.

        Without it the first hundred steps are spent on learning which words are common.
        """
        frequency = (counts + 1.0) / (counts + 1.0).sum()
        self.decoder.output_projection.bias.assign(np.log(frequency))

    def adjust_logits(self, counts: np.ndarray, strength: float) -> None:
        """Take `strength` times the log-frequency of each word off its logits (Menon et al. 2021, equation 9).

        A network overestimates frequent words. The log-frequencies are taken relative to their mean over all words of
        the captions, so that words and the end of a sentence keep their balance. The output bias absorbs the change.

        Args:
            counts: of the words (V,) in the training captions.
            strength: 0 changes nothing; 1 would make up for the frequencies altogether.
        """
        frequency = (counts + 1.0) / (counts + 1.0).sum()
        surprise = -np.log(frequency)  # (V,)
        words = np.arange(len(counts)) >= len(SPECIAL_TOKENS)
        mean = (frequency * surprise)[words].sum() / frequency[words].sum()
        self.decoder.output_projection.bias.assign_add(np.where(words, strength * (surprise - mean), 0.0))

    def named_weights(self) -> dict[str, np.ndarray]:
        """Return all weights by the names of layer and weight, such as `attention/query/kernel`."""
        return {_name(each): ops.convert_to_numpy(each) for each in self.weights}

    def take(self, weights: Mapping[str, np.ndarray]) -> None:
        """Fill the network with weights by name, as `named_weights` gives them."""
        for each in self.weights:
            each.assign(weights[_name(each)])

    def begin(self, features: Any) -> tuple[Callable[[Any, list[Any]], tuple[Any, list[Any], Any]], list[Any]]:
        """Begin sentences for images with features (B, L, D), in the backend's own tensors, inside graphs too.

        Returns:
            the step, as `captioner.decoding.step` describes it, which looks at these images, and the states (B, 1, U)
            before the first word.
        """
        memory = self.decoder.memory(features)

        def step(tokens: Any, states: list[Any]) -> tuple[Any, list[Any], Any]:
            output, after = self.decoder.step(self.decoder.words(tokens), states, memory)
            return ops.log_softmax(self.decoder.logits(output)), after, output.attention

        return step, self.decoder.initial_states(memory)

    def start(self, features: np.ndarray) -> tuple[Step, list[np.ndarray]]:
        """Begin sentences for images with features (B, L, D).

        Returns:
            the step that a search takes (`captioner.decoding.step`), which looks at these images, and the states
            (B, 1, U) before the first word.
        """
        advance, initial = self.begin(ops.convert_to_tensor(features))
        to_numpy = ops.convert_to_numpy

        def step(tokens: np.ndarray, states: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
            found = advance(ops.convert_to_tensor(tokens), [ops.convert_to_tensor(state) for state in states])
            log_probs, after, attention = found
            return to_numpy(log_probs), [to_numpy(state) for state in after], to_numpy(attention)

        return step, [to_numpy(state) for state in initial]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "config": to_json(self.config)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "CaptionModel":
        """Build the model, without its weights, from what `get_config` gave."""
        return cls(**{**config, "config": from_json(DecoderConfig, config["config"], "CaptionModel")})


def _name(weight: keras.Variable) -> str:
    return str(weight.path).split("decoder/", 1)[1]


def _check_inputs(inputs: Any, channels: int) -> None:
    """Raise ValueError for what `CaptionModel.call` cannot read, while its name is known."""
    found: Any = set(inputs) if isinstance(inputs, Mapping) else type(inputs).__name__
    if not isinstance(inputs, Mapping) or not {"features", "tokens"} <= found:
        raise ValueError(f"inputs: expected a dictionary with `features` and `tokens`, found {found}")
    features, tokens = inputs["features"], inputs["tokens"]
    if _rank(features) != 3 or features.shape[-1] not in (None, channels):
        raise ValueError(f"features: expected shape (B, L, {channels}), found {features.shape}")
    if _rank(tokens) not in (2, 3):
        more = "" if _rank(tokens) else "; a model that is to read both layouts is compiled anew for the second"
        raise ValueError(f"tokens: expected shape (B, T) or (B, K, T), found {tokens.shape}{more}")
    for name, array, kind in (("features", features, "float"), ("tokens", tokens, "int")):
        dtype = keras.backend.standardize_dtype(array.dtype)
        if kind not in dtype:
            raise ValueError(f"{name}: expected numbers of type {kind}, found {dtype}")


def _rank(array: Any) -> int | None:
    """Return the number of axes; None where the graph does not know it."""
    return array.shape.rank if hasattr(array.shape, "rank") else len(array.shape)

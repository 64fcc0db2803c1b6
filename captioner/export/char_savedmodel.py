"""The character language model as a SavedModel: strings in, strings out, in any process that has TensorFlow.

The arithmetic is that of `models.char_lm.CharModel`, called on windows of one character and traced into graphs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from captioner.config.decoding import GenerationConfig, SamplingConfig
from captioner.config.model import CharModelConfig
from captioner.export.draw import draw, draw_by, uniforms_of
from captioner.export.savedmodel import save, scalar_inputs
from captioner.models.char_lm import CharModel
from captioner.runtime.char_lm import load_char_model
from captioner.text import CHARACTER_SPECIAL_TOKENS, CharacterVocabulary

DEFAULTS = {
    "length": GenerationConfig.length,
    **{name: getattr(SamplingConfig, name) for name in ("temperature", "top_k", "top_p")},
    "seed": 0,  # a graph has no other way to a new one each time
}
"""What a continuation can be asked for, with the defaults of `predict` except for the seed."""


def export_char_savedmodel(model: Path, output: Path) -> None:
    """Write the character model in the directory `model` as a SavedModel with the signatures of `CharSavedModel`.

    Args:
        model: what `train.py --task char-lm` wrote.
        output: the directory to make; a former export there is replaced, whole or not at all.

    Raises:
        CaptionerError: the model cannot be read, `output` holds something else, or TensorFlow cannot write there.
        OSError: `output` cannot be made.
    """
    module = CharSavedModel(*load_char_model(model))
    save(module, module.signatures(), output, model="char_lm")


class CharSavedModel(tf.Module):
    """A character model with its vocabulary, as TensorFlow functions.

    B is the size of the batch, any; U the units of a state; V the characters, `<start>` and `<unk>` included.

    Signatures:
        step: `characters`, string (B,), one character each, and the states `state_1`, `state_2`, ..., float32 (B, U) ->
            `logits`, float32 (B, V), of the character after, and the new states by the same names. The empty string
            stands for the start of a text, before which the states are zeros; any other string that is no character of
            the vocabulary is `<unk>`. The lowest layer's state comes first; an LSTM has two a layer, h and c.
        vocabulary: nothing -> `tokens`, string (V,): what each column of the logits stands for.
        continue_prompt: `prompts`, string (B,), and the scalars `length` int32, `temperature` float32, `top_k` int32,
            `top_p` float32 and `seed` int32 -> `text`, string (B,), and `continuation`, what is new in it. Characters
            outside the vocabulary are left out of the prompt; `<start>` and `<unk>` are never made. A row's text
            depends on its prompt, its place in the batch, and the scalars alone.
        serving_default: `prompts` alone -> the same, with `DEFAULTS`. A row's text depends on its prompt alone, so that
            a server may join the rows of several requests in one batch.

    Args:
        config: the sizes.
        vocabulary: the characters behind the numbers.
        weights: arrays by name, as `weight_shapes` names them.
    """

    def __init__(
        self, config: CharModelConfig, vocabulary: CharacterVocabulary, weights: Mapping[str, np.ndarray]
    ) -> None:
        super().__init__(name="char_lm")
        still = replace(config, dropout=0.0, recurrent_dropout=0.0)  # without dropout, no generator to save
        network = CharModel(still, dtype="float32")
        network.set_named_weights(weights)
        # Methods, since TensorFlow would save a Keras model with all that it is made of; its variables are enough.
        self._network, self._initial_states = network.__call__, network.initial_states
        self.weights = [each.value for each in network.weights]
        self._start, self._unknown = vocabulary.start, vocabulary.unknown
        tokens = [token.encode("utf-8", errors="surrogatepass") for token in vocabulary.tokens]
        self.tokens = tf.constant(tokens)  # (V,)
        self.numbers = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                [b"", *tokens], [vocabulary.start, *range(len(tokens))], tf.string, tf.int32
            ),
            default_value=vocabulary.unknown,
        )
        self.state_names = [f"state_{number + 1}" for number in range(len(network.initial_states(1)))]
        self.step = tf.function(
            self._step,
            input_signature=[
                tf.TensorSpec((None,), tf.string, "characters"),
                [tf.TensorSpec((None, config.hidden_size), tf.float32, name) for name in self.state_names],
            ],
        )
        self.continue_prompt = self._make_continue_prompt()
        prompts = tf.TensorSpec((None,), tf.string, "prompts")
        self.serving_default = tf.function(self._continue_by_default, input_signature=[prompts])
        self.vocabulary = tf.function(lambda: {"tokens": tf.identity(self.tokens)}, input_signature=[])

    def signatures(self) -> dict[str, Any]:
        """Return the functions by the names of their signatures."""
        return {
            tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY: self.serving_default,
            "continue_prompt": self.continue_prompt,
            "step": self.step,
            "vocabulary": self.vocabulary,
        }

    def _step(self, characters: Any, states: list[Any]) -> dict[str, Any]:
        logits, states = self._advance(self.numbers.lookup(characters), states)
        return {"logits": logits, **dict(zip(self.state_names, states, strict=True))}

    def _make_continue_prompt(self) -> Any:
        settings = {name: tf.constant(value) for name, value in DEFAULTS.items()}

        def continue_prompt(
            prompts: Any,
            length: Any = settings["length"],  # a signature keeps a default that is a tensor, and no other
            temperature: Any = settings["temperature"],
            top_k: Any = settings["top_k"],
            top_p: Any = settings["top_p"],
            seed: Any = settings["seed"],
        ) -> dict[str, Any]:
            checks = [
                tf.debugging.assert_non_negative(length, "length: expected 0 or more"),
                tf.debugging.assert_non_negative(temperature, "temperature: expected 0 or more"),
                tf.debugging.assert_non_negative(top_k, "top_k: expected 0, which means all, or more"),
                tf.debugging.assert_positive(top_p, "top_p: expected more than 0; 1 means all"),
            ]
            with tf.control_dependencies(checks):
                length, prompts = tf.identity(length), tf.identity(prompts)
            return self._continue(prompts, length, lambda logits, i: draw(logits, temperature, top_k, top_p, [seed, i]))

        inputs = [tf.TensorSpec((None,), tf.string, "prompts"), *scalar_inputs(settings)]
        return tf.function(continue_prompt, input_signature=inputs)

    def _continue_by_default(self, prompts: Any) -> dict[str, Any]:
        length, temperature, top_k, top_p, seed = DEFAULTS.values()
        characters = len(self.tokens) - len(CHARACTER_SPECIAL_TOKENS)
        uniforms = uniforms_of(prompts, (length, characters), seed)  # (B, T, V)
        choose = partial(draw_by, temperature=temperature, top_k=top_k, top_p=top_p)
        return self._continue(prompts, length, lambda logits, i: choose(uniforms[:, i], logits))

    def _continue(self, prompts: Any, length: Any, choose: Callable[[Any, Any], Any]) -> dict[str, Any]:
        """Read prompts, string (B,), and continue them by `length` characters, each by `choose`, see `_write`."""
        known = self._known(prompts)
        numbers = self._write(*self._read(known), length, choose)
        continuation = tf.strings.reduce_join(tf.gather(self.tokens, numbers), axis=0)
        prompts = tf.strings.reduce_join(tf.ragged.map_flat_values(tf.gather, self.tokens, known), axis=-1)
        return {"text": prompts + continuation, "continuation": continuation}

    def _known(self, prompts: Any) -> Any:
        """Return the numbers of the characters that the model knows: string (B,) -> int32 (B, P), ragged."""
        characters = tf.strings.unicode_split(prompts, "UTF-8", errors="ignore")
        numbers = tf.ragged.map_flat_values(self.numbers.lookup, characters)
        return tf.ragged.boolean_mask(numbers, numbers != self._unknown)

    def _read(self, numbers: Any) -> tuple[Any, list[Any]]:
        """Read `<start>` and the prompts, int32 (B, P) ragged -> logits (B, V) of what follows each, states."""
        lengths = tf.cast(numbers.row_lengths(), tf.int32)  # (B,)
        numbers = numbers.to_tensor()  # (B, P)
        start = tf.fill(tf.shape(lengths), self._start)
        logits, states = self._advance(start, self._initial_states(tf.size(lengths)))

        def body(t: Any, *before: Any) -> tuple[Any, ...]:
            logits, states = self._advance(numbers[:, t], before[1:])
            unread = (t < lengths)[:, None]  # where a prompt has ended, all stays as it is while longer ones are read
            return t + 1, *(tf.where(unread, new, old) for new, old in zip([logits, *states], before, strict=True))

        longest = tf.shape(numbers)[1]
        _, logits, *states = tf.while_loop(lambda t, *_: t < longest, body, (0, logits, *states))
        return logits, states

    def _write(self, logits: Any, states: list[Any], length: Any, choose: Callable[[Any, Any], Any]) -> Any:
        """Write `length` characters after logits (B, V) and states -> their numbers, int32 (length, B)."""
        special = len(CHARACTER_SPECIAL_TOKENS)  # they have the lowest numbers

        def body(i: Any, written: Any, logits: Any, *states: Any) -> tuple[Any, ...]:
            numbers = choose(logits[:, special:], i) + special  # (B,)
            logits, after = self._advance(numbers, states)
            return i + 1, written.write(i + 1, numbers), logits, *after

        written = tf.TensorArray(tf.int32, size=length + 1, element_shape=(None,))
        written = written.write(0, tf.fill(tf.shape(logits)[:1], self._start))  # so that none are still (0, B)
        _, written, *_ = tf.while_loop(lambda i, *_: i < length, body, (0, written, logits, *states))
        return written.stack()[1:]

    def _advance(self, numbers: Any, states: Sequence[Any]) -> tuple[Any, list[Any]]:
        """Read a character of each row: int32 (B,), states -> logits (B, V) of the character after, states."""
        logits, after = self._network(numbers[:, None], states)
        return logits[:, 0], after

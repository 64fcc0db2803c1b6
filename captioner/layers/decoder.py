"""From an image's features to words: one `step`, used alike by teacher forcing, search and export."""

from typing import Any, NamedTuple

import keras
from keras import ops

from captioner.layers.attention import BahdanauAttention
from captioner.layers.cells import make_cell
from captioner.layers.dropout import ByteDropout


class Memory(NamedTuple):
    """What the decoder keeps of a batch of images: regions (B, L, U) and their attention keys (B, L, A)."""

    values: Any
    keys: Any


class TokenEmbeddings(NamedTuple):
    """What a word brings to a step: its vector (B, K, E) and that vector times the cell's W_x (B, K, G*U)."""

    vectors: Any
    projected: Any


class StepOutput(NamedTuple):
    """What a step leaves for the prediction of the next word: state, context and word, and where it looked.

    hidden (B, K, U), context (B, K, U), vectors (B, K, E), attention (B, K, L).
    """

    hidden: Any
    context: Any
    vectors: Any
    attention: Any


@keras.saving.register_keras_serializable("captioner")
class Decoder(keras.layers.Layer):
    """A recurrent language model that looks at an image before each word (Xu et al. 2015, section 3.1).

    All arrays are laid out (B, K, ...): B images, each with K sentences. In training K counts the captions of an
    image, in search the beams; both share one memory of the image.

    The regions are projected and normalised once: m = LayerNorm(features W_m). A step then does

        context_t = sigmoid(h_{t-1} W_g + b_g) * attention(h_{t-1}, m)        (the gate: Xu et al. 2015, section 4.2.1)
        h_t       = cell([word_t, context_t], h_{t-1})
        logits    = tanh([h_t, context_t, word_t] W_o + b_o) W_v + b_v        (deep output: ibid., equation 7)

    and h_0 = tanh(mean of m W_0 + b_0). The cell's W_x is kept in two halves, one for the words, which are known for
    the whole sentence in training, and one for the context, which is not.

    Args:
        cell: `rnn`, `gru` or `lstm`.
        hidden_size: units of the state and of a projected region (U).
        embedding_dim: size of a word's vector (E).
        attention_dim: size of the attention space (A).
        vocabulary_size: words (V).
        dropout: share dropped, in training, of word vectors, regions and the deep output's inputs.
    """

    def __init__(
        self,
        cell: str,
        hidden_size: int,
        embedding_dim: int,
        attention_dim: int,
        vocabulary_size: int,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.settings: dict[str, Any] = {
            "cell": cell,
            "hidden_size": hidden_size,
            "embedding_dim": embedding_dim,
            "attention_dim": attention_dim,
            "vocabulary_size": vocabulary_size,
            "dropout": dropout,
        }
        dtype = self.dtype_policy
        # The files of weights know these two by their attributes' names.
        self.place = keras.layers.Dense(hidden_size, name="place", dtype=dtype)
        self.place_norm = keras.layers.LayerNormalization(name="place_norm", dtype=dtype)
        self.embedding = keras.layers.Embedding(vocabulary_size, embedding_dim, name="embedding", dtype=dtype)
        self.attention = BahdanauAttention(attention_dim, name="attention", dtype=dtype)
        self.gate = keras.layers.Dense(hidden_size, activation="sigmoid", name="gate", dtype=dtype)
        self.cell = make_cell(cell, hidden_size, name="cell", dtype=dtype)
        self.context = keras.layers.Dense(self.cell.gates * hidden_size, use_bias=False, name="context", dtype=dtype)
        self.start = [
            keras.layers.Dense(hidden_size, activation="tanh", name=f"start_{number}", dtype=dtype)
            for number in range(self.cell.states)
        ]
        self.deep = keras.layers.Dense(embedding_dim, activation="tanh", name="deep", dtype=dtype)
        # In half precision a logit of 8 is known to 0.03, which would be the noise of every probability.
        self.exact = keras.backend.result_type(self.compute_dtype, "float32")
        self.output_projection = keras.layers.Dense(vocabulary_size, name="output_projection", dtype=self.exact)
        self.dropout = ByteDropout(dropout, name="dropout", dtype=dtype)

    def build(self, features_shape: tuple[int | None, ...]) -> None:
        """Create all weights for features (B, L, D)."""
        units, embedding_dim = self.settings["hidden_size"], self.settings["embedding_dim"]
        self.place.build(features_shape)
        regions = (*features_shape[:-1], units)
        self.place_norm.build(regions)
        self.embedding.build((None, None))
        self.attention.build((None, None, units), regions)
        self.gate.build((None, None, units))
        self.cell.build((None, None, embedding_dim))
        self.context.build((None, None, units))
        for start in self.start:
            start.build((None, units))
        self.deep.build((None, 2 * units + embedding_dim))
        self.output_projection.build((None, embedding_dim))

    def regions(self, features: Any) -> Any:
        """Project the features (B, L, D) to the normalised regions (B, L, U)."""
        return self.place_norm(self.place(ops.cast(features, self.compute_dtype)))

    def make_memory(self, regions: Any, training: bool = False) -> Memory:
        """Make of regions (B, L, U) what every step looks at."""
        values = self.dropout(regions, training=training)
        return Memory(values, self.attention.keys(values))

    def memory(self, features: Any, training: bool = False) -> Memory:
        """Project the features (B, L, D) to what every step looks at."""
        return self.make_memory(self.regions(features), training)

    def initial_states(self, memory: Memory) -> list[Any]:
        """Return the states before the first word, (B, 1, U) each: one sentence an image."""
        mean = ops.mean(memory.values, axis=1, keepdims=True)  # (B, 1, U)
        return [start(mean) for start in self.start]

    def words(self, tokens: Any, training: bool = False) -> TokenEmbeddings:
        """Look up tokens of any shape, (B, K) for a step or (B, K, T) for whole sentences."""
        vectors = self.dropout(self.embedding(tokens), training=training)
        return TokenEmbeddings(vectors, self.cell.project(vectors))

    def step(self, words: TokenEmbeddings, states: list[Any], memory: Memory) -> tuple[StepOutput, list[Any]]:
        """Look, then take one step of the recurrence with words (B, K, ...) from states (B, K, U)."""
        context, weights = self.attention(states[0], memory.keys, memory.values)
        context = self.gate(states[0]) * context  # (B, K, U)
        states = self.cell.advance(words.projected + self.context(context), states)
        return StepOutput(states[0], context, words.vectors, weights), states

    def logits(self, output: StepOutput, positions: Any = None, training: bool = False) -> Any:
        """Predict the next word.

        Args:
            output: of any leading shape (..., U).
            positions: int32 (N,), places in the flattened leading shape to predict at, each at most once;
                the others, such as padding, then cost nothing.
            training: whether to drop out.

        Returns:
            logits (..., V), or (N, V) at the positions; float32 or wider.
        """
        read = ops.concatenate([output.hidden, output.context, output.vectors], axis=-1)  # (..., 2*U+E)
        if positions is not None:
            read = _take_once(ops.reshape(read, (-1, read.shape[-1])), positions)  # (N, 2*U+E)
        deep = self.dropout(self.deep(self.dropout(read, training=training)), training=training)
        return self.output_projection(ops.cast(deep, self.exact))

    def call(self, features: Any, tokens: Any, training: bool = False) -> StepOutput:
        """Read whole sentences, each word given as it stands in the caption (teacher forcing).

        Args:
            features: (B, L, D).
            tokens: int32 (B, K, T), beginning with the start token.
            training: whether to drop out.

        Returns:
            the output of every step, (B, K, T, ...); `logits` makes predictions of it.
        """
        return self.read(self.memory(features, training), tokens, training)

    def predict(
        self, memory: Memory, tokens: Any, positions: Any = None, training: bool = False, active: Any = None
    ) -> Any:
        """Predict the word after each given one.

        Args:
            memory: of B images.
            tokens: int32 (B, K, T), beginning with the start token.
            positions: int32 (N,), places in the flattened (B*K*T,) to predict at, so that padding costs no
                logits.
            training: whether to drop out.
            active: see `read`.

        Returns:
            logits (B, K, T, V), or (N, V) at the positions.
        """
        return self.logits(self.read(memory, tokens, training, active), positions, training)

    def read(self, memory: Memory, tokens: Any, training: bool = False, active: Any = None) -> StepOutput:
        """Read whole sentences as `call` does, from a memory.

        Where the sentences of each image stand longest first, `active` int32 (T,) may say how many of them have not
        ended at each step; the others cost nothing then, and their outputs are 0. Where the graph does not know T, a
        loop takes the steps, which XLA cannot differentiate, and `active` saves nothing.
        """
        words = self.words(tokens, training)
        count = ops.shape(tokens)[1]
        states = [ops.repeat(state, count, axis=1) for state in self.initial_states(memory)]
        if tokens.shape[2] is None:
            return self._scan(words, states, memory)
        hidden, context, attention = [], [], []
        for t, word in enumerate(zip(*(ops.unstack(part, axis=2) for part in words), strict=True)):  # (B, K, ...)
            now = TokenEmbeddings(*word)
            if active is not None:
                now, states = (
                    TokenEmbeddings(*(part[:, : active[t]] for part in now)),
                    [state[:, : active[t]] for state in states],
                )
            output, states = self.step(now, states, memory)
            hidden.append(_widened(output.hidden, count))
            context.append(_widened(output.context, count))
            attention.append(_widened(output.attention, count))
        stacked = [ops.stack(each, axis=2) for each in (hidden, context, attention)]
        return StepOutput(stacked[0], stacked[1], words.vectors, stacked[2])

    def _scan(self, words: TokenEmbeddings, states: list[Any], memory: Memory) -> StepOutput:
        """Read words (B, K, T, ...) from states (B, K, U), with T known at run time alone."""

        def step(before: Any, projected: Any) -> tuple[Any, Any]:
            output, after = self.step(TokenEmbeddings(None, projected), before[0], memory)
            now = after, output.context, output.attention
            return now, now

        nowhere = ops.repeat(ops.zeros_like(memory.values[:, None, :, 0]), ops.shape(states[0])[1], axis=1)  # (B, K, L)
        initial = states, ops.zeros_like(states[0]), nowhere
        _, every = ops.scan(step, initial, ops.moveaxis(words.projected, 2, 0))
        after, context, attention = every  # (T, B, K, ...)
        hidden, context, attention = (ops.moveaxis(part, 0, 2) for part in (after[0], context, attention))
        return StepOutput(hidden, context, words.vectors, attention)

    @property
    def parts(self) -> list[keras.layers.Layer]:
        """The layers with weights, in the order in which a sentence goes through them."""
        return [
            *(self.place, self.place_norm, *self.start, self.embedding, self.attention, self.gate, self.context),
            *(self.cell, self.deep, self.output_projection),
        ]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **self.settings}


def _widened(part: Any, count: Any) -> Any:
    """Append sentences of zeros where some are missing: (B, k, W) -> (B, count, W)."""
    if part.shape[1] is not None and part.shape[1] == count:
        return part
    return ops.pad(part, [[0, 0], [0, count - ops.shape(part)[1]], [0, 0]])


def _take_once(rows: Any, positions: Any) -> Any:
    """Return the rows (N, W) of (M, W) at positions (N,) that are all different."""

    @ops.custom_gradient
    def take(rows: Any) -> tuple[Any, Any]:
        # A row's gradient is that of the one place it went to, or zero, so it can be looked up. The usual gradient
        # adds up all that point at a row, several times as slowly.
        def backward(*args: Any, upstream: Any = None) -> Any:
            (d_taken,) = args if upstream is None else (upstream,)
            numbers = ops.arange(1, ops.shape(positions)[0] + 1, dtype="int32")
            went_to = ops.scatter(ops.expand_dims(positions, 1), numbers, (ops.shape(rows)[0],))  # (M,), 0: nowhere
            return ops.take(ops.concatenate([ops.zeros_like(d_taken[:1]), d_taken]), went_to, axis=0)  # (M, W)

        return ops.take(rows, positions, axis=0), backward

    return take(rows)

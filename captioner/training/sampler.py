"""Draw captions from a network at random, word by word, in a compiled graph."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from captioner.decoding.wording import BANNED
from captioner.models.captioner import CaptionModel
from captioner.text import Vocabulary
from captioner.training.shards import shard_bounds


class Sampler:
    """A compiled sampler of captions, word by word with the probabilities that a network gives, p ** (1 / temperature).

    Args:
        network: the model.
        samples: captions for each image (K).
        max_length: the most tokens of a caption, its end included (T).
        temperature: of the probabilities; below 1 likely words become likelier.
        read: makes features of what it is called with, in the graph.
    """

    def __init__(
        self,
        network: CaptionModel,
        samples: int,
        max_length: int,
        temperature: float = 1.0,
        read: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
    ) -> None:
        self.network = network
        self.samples = samples
        self.max_length = max_length
        self.temperature = temperature
        self.read = read
        words = network.config.vocabulary_size
        self._allowed = np.where(np.isin(np.arange(words), BANNED), -np.inf, 0.0).astype(np.float32)  # (V,)
        self._graph = tf.function(self._sharded, reduce_retracing=True, autograph=False)

    def __call__(self, features: np.ndarray, seed: Sequence[int]) -> np.ndarray:
        """Return captions int32 (B, K, T) for features (B, L, D), padded behind their ends.

        Args:
            features: of B images, or what `read` makes them of.
            seed: two numbers; the same give the same captions.
        """
        return self._graph(features, tf.constant(seed, tf.int32)).numpy()

    def _sharded(self, features: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        parts = enumerate(shard_bounds(tf.shape(features)[0]))
        drawn = [
            self._draw(features[begin:end], tf.random.experimental.stateless_fold_in(seed, part))
            for part, (begin, end) in parts
        ]
        return tf.concat(drawn, axis=0)

    def _draw(self, features: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        step, states = self.network.begin(self.read(features))
        count, K, T = tf.shape(features)[0], self.samples, self.max_length
        states = [tf.repeat(state, K, axis=1) for state in states]

        def advance(
            time: tf.Tensor, tokens: tf.Tensor, generated: tf.Tensor, *states: tf.Tensor
        ) -> tuple[tf.Tensor, ...]:
            log_probs, after, _ = step(tokens, list(states))  # (B, K, V)
            tempered = tf.cast(log_probs, tf.float32) / self.temperature + self._allowed
            rows = tf.reshape(tempered, (-1, len(self._allowed)))  # (B*K, V)
            own = tf.random.experimental.stateless_fold_in(seed, time)
            drawn = tf.random.stateless_categorical(rows, 1, own, tf.int32)
            ended = (tokens == Vocabulary.end) | (tokens == Vocabulary.pad)
            tokens = tf.where(ended, Vocabulary.pad, tf.reshape(drawn, (count, K)))
            generated = tf.concat([generated[:, :, :time], tokens[:, :, None], generated[:, :, time + 1 :]], axis=2)
            generated.set_shape((None, K, T))
            return time + 1, tokens, generated, *after

        def going_on(time: tf.Tensor, tokens: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
            return (time < T) & tf.reduce_any((tokens != Vocabulary.end) & (tokens != Vocabulary.pad))

        first = tf.fill((count, K), Vocabulary.start)
        generated = tf.fill((count, K, T), Vocabulary.pad)
        generated.set_shape((None, K, T))
        return tf.while_loop(going_on, advance, [tf.constant(0), first, generated, *states])[2]

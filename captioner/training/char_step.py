"""One window of truncated backpropagation through time, compiled once; the same without an optimiser to measure."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from captioner.models.char_lm import CharModel
from captioner.training.profile import Profile
from captioner.training.shards import shard_bounds
from captioner.training.streams import shifted

WARM_UP = 512
"""Characters that a stream of `stream_loss` reads before its own: about as far back as the state remembers."""

STREAMS = 64
"""Streams that `stream_loss` reads side by side, if the text is long enough."""


class CharStep:
    """Runs a network over windows of text, the state carried from each to the next, and may train it.

    The gradient goes back to the beginning of a window, the state to the beginning of the text (Elman 1990; truncated
    as in Williams & Peng 1990).

    Args:
        network: the model.
        optimizer: built for the network's variables; None only measures.
        profile: takes the time.
    """

    def __init__(
        self,
        network: CharModel,
        optimizer: keras.optimizers.Optimizer | None = None,
        profile: Profile | None = None,
    ) -> None:
        self.network = network
        self.optimizer = optimizer
        self.profile = profile or Profile()
        self._graph: Callable[..., Any] = tf.function(self._run, autograph=False)  # one for each shape of windows
        self._compiled: set[tuple[int, ...]] = set()

    def over(
        self, windows: Iterable[tuple[np.ndarray, np.ndarray]], seen: Callable[[float], None] = lambda loss: None
    ) -> float:
        """Run windows of inputs and targets (B, T), all of one shape, beginning with empty states.

        A target below 0 is not counted. After each window `seen` is told the mean so far.

        Returns:
            the mean cross-entropy of a character, in nats.
        """
        total, characters, states = 0.0, 0, None
        for inputs, targets in windows:
            if states is None:
                states = self.network.initial_states(len(inputs))
            compiles = "" if inputs.shape in self._compiled else ": compile, with a window"
            self._compiled.add(inputs.shape)
            with self.profile.phase(("train" if self.optimizer else "measure the loss") + compiles):
                loss, states = self._graph(tf.constant(inputs), tf.constant(targets), states)
                total, characters = total + float(loss), characters + int((targets >= 0).sum())
            seen(total / max(1, characters))
        return total / characters

    def _run(self, inputs: tf.Tensor, targets: tf.Tensor, states: list[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return the sum over the window's targets, and the states after it."""
        if self.optimizer is None:
            return self._forward(inputs, targets, states, training=False)
        with tf.GradientTape() as tape:
            total, states = self._forward(inputs, targets, states, training=True)
            loss = total / tf.cast(tf.size(targets), total.dtype)
        variables = self.network.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return total, states

    def _forward(
        self, inputs: tf.Tensor, targets: tf.Tensor, states: list[tf.Tensor], training: bool
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        totals, after = [], []
        for begin, end in shard_bounds(inputs.shape[0]):
            own = [state[begin:end] for state in states]
            logits, own = self.network(inputs[begin:end], own, training=training)
            totals.append(_cross_entropy(targets[begin:end], logits))
            after.append(own)
        return tf.add_n(totals), [tf.concat(parts, axis=0) for parts in zip(*after, strict=True)]


def stream_loss(step: CharStep, tokens: np.ndarray, sequence_length: int) -> float:
    """Estimate the mean cross-entropy of a text (N,), in nats, from streams that are read side by side.

    The text is cut into up to STREAMS parts, and each is read from WARM_UP characters before it on, so that its state
    is nearly that of a reader of the whole text. A short text is one stream, and its figure is exact.
    """
    streams = min(STREAMS, len(tokens) // (4 * WARM_UP)) or 1
    warm_up = WARM_UP if streams > 1 else 0
    part = -(-(len(tokens) - warm_up) // streams)
    windows = -(-(part + warm_up) // sequence_length)
    inputs = np.zeros((streams, windows * sequence_length), np.int32)
    targets = np.full(inputs.shape, -1, np.int32)
    whole = shifted(tokens)
    for stream in range(streams):
        begin = stream * part  # the first stream counts what the others read to warm up
        end = min(begin + warm_up + part, len(tokens))
        counted = begin + (warm_up if stream else 0)
        inputs[stream, : end - begin] = whole[begin:end]
        targets[stream, counted - begin : end - begin] = tokens[counted:end]
    return step.over(
        (inputs[:, first : first + sequence_length], targets[:, first : first + sequence_length])
        for first in range(0, inputs.shape[1], sequence_length)
    )


def _cross_entropy(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    counted = targets >= 0
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.where(counted, targets, 0), logits)
    return tf.reduce_sum(tf.where(counted, losses, 0.0))

"""One step of the optimiser, and the same losses without it, compiled once for each caption length."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from captioner.models.captioner import CaptionModel
from captioner.training.batches import Batch
from captioner.training.loss import SmoothedCrossEntropy
from captioner.training.profile import Profile
from captioner.training.shards import shards


class LossStep:
    """Runs a network over batches of `CaptionBatches` and, where an optimiser is given, trains it.

    The recurrence is unrolled, so a graph has a fixed number of steps; batches come in few lengths, and each gets
    a graph of its own. (`keras.Model.fit` would trace one graph for all lengths, with a loop in it, or pad them all
    to the longest.)

    Args:
        network: the model.
        label_smoothing: see `SmoothedCrossEntropy`.
        optimizer: built for the network's variables; None only measures.
        profile: takes the time.
        strategy: of the devices, on which network and optimiser were made; each takes its part of a batch.
    """

    def __init__(
        self,
        network: CaptionModel,
        label_smoothing: float,
        optimizer: keras.optimizers.Optimizer | None = None,
        profile: Profile | None = None,
        strategy: tf.distribute.Strategy | None = None,
    ) -> None:
        self.network = network
        self.optimizer = optimizer
        self.profile = profile or Profile()
        self.strategy = strategy or tf.distribute.get_strategy()
        self._smoothed = SmoothedCrossEntropy(label_smoothing, reduction=None)
        self._plain = SmoothedCrossEntropy(0.0, reduction=None)
        self._graphs: dict[int, Any] = {}

    def over(self, batches: Iterable[Batch], seen: Callable[[float], None] = lambda loss: None) -> tuple[float, float]:
        """Run all batches; after each, `seen` is told the mean smoothed loss so far.

        Returns:
            the mean over all words of the smoothed loss and of the plain cross-entropy, in nats.
        """
        smoothed = plain = words = 0.0
        purpose = "train" if self.optimizer else "measure the loss"
        for inputs, targets in self.profile.waiting(f"{purpose}: wait for batches", batches):
            length = inputs["tokens"].shape[2]
            if length not in self._graphs:
                with self.profile.phase(f"{purpose}: compile"):
                    graph = tf.function(self._run, input_signature=_signature(inputs), autograph=False)
                    self._graphs[length] = graph.get_concrete_function()
            with self.profile.phase(purpose):
                losses = self._graphs[length](inputs, targets).numpy().tolist()  # [smoothed, plain]
            smoothed, plain, words = smoothed + losses[0], plain + losses[1], words + len(targets)
            seen(smoothed / words)
        return smoothed / words, plain / words

    def _run(self, inputs: dict[str, tf.Tensor], targets: tf.Tensor) -> tf.Tensor:
        """Return the sums over the batch's words of both losses."""
        return self.strategy.reduce("SUM", self.strategy.run(self._on_device, (inputs, targets)), axis=None)

    def _on_device(self, inputs: dict[str, tf.Tensor], targets: tf.Tensor) -> tf.Tensor:
        """Return the sums of both losses over the words of this device's part of the batch."""
        if self.optimizer is None:
            return tf.stack(self._sums(inputs, targets, training=False))
        with tf.GradientTape() as tape:
            smoothed, plain = self._sums(inputs, targets, training=True)
            loss = smoothed / tf.cast(tf.size(targets), smoothed.dtype)
        variables = self.network.trainable_variables
        gradients = tape.gradient(loss, variables)
        device = tf.distribute.get_replica_context()
        if device.num_replicas_in_sync > 1:
            # Keras clips before it adds up what the devices give, so each gives its share of the whole, and clips at
            # its share of the limit (`make_optimizer`)
            gradients = device.all_reduce("MEAN", gradients)
        self.optimizer.apply(gradients, variables)
        return tf.stack([smoothed, plain])

    def _sums(self, inputs: dict[str, tf.Tensor], targets: tf.Tensor, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        sums = []
        for own, (following,) in shards(inputs, targets):
            logits = self.network(own, training=training)
            sums.append([tf.reduce_sum(loss(following, logits)) for loss in (self._smoothed, self._plain)])
        smoothed, plain = zip(*sums, strict=True)
        return tf.add_n(smoothed), tf.add_n(plain)


def _signature(inputs: dict[str, np.ndarray]) -> list[Any]:
    """Leave open what differs between batches of one caption length: the images and the words."""
    features, tokens = inputs["features"], inputs["tokens"]
    return [
        {
            "features": tf.TensorSpec((None, *features.shape[1:]), tf.float16),
            "tokens": tf.TensorSpec((None, *tokens.shape[1:]), tf.int32),
            "positions": tf.TensorSpec((None,), tf.int32),
        },
        tf.TensorSpec((None,), tf.int32),
    ]

"""One step of the optimiser, and the same losses without it, compiled once for each caption length."""

from collections.abc import Callable, Iterable

import keras
import tensorflow as tf

from captioner.models.captioner import CaptionModel
from captioner.training.batches import Batch
from captioner.training.graphs import Graphs
from captioner.training.loss import SmoothedCrossEntropy
from captioner.training.profile import Profile
from captioner.training.shards import shards

TAUGHT = ("taught_words", "taught")
"""What a batch brings of teachers, for each of its words."""


class LossStep:
    """Runs a network over batches of `CaptionBatches` and, where an optimiser is given, trains it.

    Args:
        network: the model.
        label_smoothing: see `SmoothedCrossEntropy`.
        optimizer: built for the network's variables; None only measures.
        profile: takes the time.
        distillation: what share of the loss teachers have, where batches bring what they say.
        strategy: of the devices, on which network and optimiser were made; each takes its part of a batch.
    """

    def __init__(
        self,
        network: CaptionModel,
        label_smoothing: float,
        optimizer: keras.optimizers.Optimizer | None = None,
        profile: Profile | None = None,
        strategy: tf.distribute.Strategy | None = None,
        distillation: float = 0.0,
    ) -> None:
        self.network = network
        self.optimizer = optimizer
        self.profile = profile or Profile()
        self.strategy = strategy or tf.distribute.get_strategy()
        self._learned = SmoothedCrossEntropy(label_smoothing, distillation, reduction=None)
        self._plain = SmoothedCrossEntropy(0.0, reduction=None)
        self._graphs = Graphs(self._run)

    def over(self, batches: Iterable[Batch], seen: Callable[[float], None] = lambda loss: None) -> tuple[float, float]:
        """Run all batches; after each, `seen` is told the mean loss so far.

        Returns:
            the mean over all words of the loss that is learned and of the plain cross-entropy, in nats.
        """
        learned = plain = words = 0.0
        purpose = "train" if self.optimizer else "measure the loss"
        for inputs, targets in self.profile.waiting(f"{purpose}: wait for batches", batches):
            with self.profile.phase(f"{purpose}: compile"):
                graph = self._graphs.of(inputs, targets)
            with self.profile.phase(purpose):
                losses = graph(inputs, targets).numpy().tolist()  # [learned, plain]
            learned, plain, words = learned + losses[0], plain + losses[1], words + len(targets)
            seen(learned / words)
        return learned / words, plain / words

    def _run(self, inputs: dict[str, tf.Tensor], targets: tf.Tensor) -> tf.Tensor:
        """Return the sums over the batch's words of both losses."""
        return self.strategy.reduce("SUM", self.strategy.run(self._on_device, (inputs, targets)), axis=None)

    def _on_device(self, inputs: dict[str, tf.Tensor], targets: tf.Tensor) -> tf.Tensor:
        """Return the sums of both losses over the words of this device's part of the batch."""
        if self.optimizer is None:
            return tf.stack(self._sums(inputs, targets, training=False))
        with tf.GradientTape() as tape:
            learned, plain = self._sums(inputs, targets, training=True)
            loss = learned / tf.cast(tf.size(targets), learned.dtype)
        variables = self.network.trainable_variables
        gradients = tape.gradient(loss, variables)
        device = tf.distribute.get_replica_context()
        if device.num_replicas_in_sync > 1:
            # Keras clips before it adds up what the devices give, so each gives its share of the whole, and clips at
            # its share of the limit (`make_optimizer`)
            gradients = device.all_reduce("MEAN", gradients)
        self.optimizer.apply(gradients, variables)
        return tf.stack([learned, plain])

    def _sums(self, inputs: dict[str, tf.Tensor], targets: tf.Tensor, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        taught = [inputs[name] for name in TAUGHT if name in inputs]
        given = {name: each for name, each in inputs.items() if name not in TAUGHT}
        sums = []
        for own, (following, *said) in shards(given, targets, *taught):
            logits = self.network(own, training=training)
            learned = self._learned((following, *said), logits)
            sums.append([tf.reduce_sum(learned), tf.reduce_sum(self._plain(following, logits))])
        learned, plain = zip(*sums, strict=True)
        return tf.add_n(learned), tf.add_n(plain)

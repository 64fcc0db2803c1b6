"""Cross-entropy: the network learns the captions of the training photos word by word."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from captioner.models.captioner import CaptionModel
from captioner.models.tuned_model import TunedModel
from captioner.training.caption_loss import CaptionLoss, per_word
from captioner.training.context import Context
from captioner.training.evaluator import Evaluator
from captioner.training.inputs.batches import CaptionBatches, caption_arrays
from captioner.training.inputs.captions import log_left_captions
from captioner.training.loop import Row
from captioner.training.optimizer import make_optimizer
from captioner.training.precision import in_float32
from captioner.training.stages.caption_stage import CaptionStage
from captioner.training.step import Batch, Step


class CrossEntropy(CaptionStage):
    """Training on the features of an encoder that stays as it is.

    Args:
        context: what all stages share.
        network: what is trained, made in the scope of the strategy.
        strategy: whose devices share each batch; TensorFlow's default where it is not given.
    """

    def __init__(
        self, context: Context, network: CaptionModel | TunedModel, strategy: tf.distribute.Strategy | None = None
    ) -> None:
        super().__init__(context)
        training, train = context.training, context.train
        self.network = network
        self.variables = network.trainable_variables
        self.batches = CaptionBatches(
            train.tokens, training.batch_size, training.captions_per_image, rows=train.rows, views=train.views
        )
        log_left_captions(train.tokens, training.captions_per_image)
        strategy = strategy or tf.distribute.get_strategy()
        with strategy.scope():
            self.optimizer = make_optimizer(self.variables, training, self.epochs * len(self), self.slow_variables())
        self.step = Step(self.objective(), self.optimizer, self.variables, context.profile, strategy)
        self.scored = in_float32(network)
        self.evaluator = Evaluator.of(self.context, self.scored)

    def slow_variables(self) -> tuple[Any, float]:
        """Return variables with a separate learning rate, and that rate; see `make_optimizer`."""
        return (), 0.0

    def objective(self) -> CaptionLoss:
        """Return the loss to minimise."""
        return CaptionLoss(self.network, self.context.training.label_smoothing)

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return len(self.batches)

    def prepare(self, number: int, batch: Batch) -> Batch:
        """Return the network's input for a batch of `CaptionBatches`."""
        return {"features": self.context.train.features[batch["rows"]], **caption_arrays(batch)}

    def train_epoch(self, epoch: int, on_batch: Callable[[float], None]) -> Row:
        """Train on all photos, each with one of its views; return the mean losses of a word, in nats."""
        seed = self.context.training.seed
        self.network.reseed(seed, epoch)
        batches = self.batches.shuffled(seed, epoch, self.prepare)
        return per_word(self.step.over(batches, lambda totals: on_batch(totals["loss"] / totals["words"])))

"""Fine-tuning: the last layers of the encoder learn along with the decoder, from captions and from teachers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from captioner.config.training import FineTuningConfig
from captioner.models.tuned_model import TunedModel
from captioner.training.caption_loss import CaptionLoss
from captioner.training.context import Context
from captioner.training.inputs.distillation import teacher_probabilities
from captioner.training.stages.cross_entropy import CrossEntropy
from captioner.training.step import Batch


class FineTuning(CrossEntropy):
    """Cross-entropy on the grids of the encoder's frozen layers, with the layers behind them trained too.

    Args:
        context: what all stages share, with the grids of the frozen layers as features.
        network: the last layers and the decoder.
        config: epochs, rates, and the teachers' share.
        teachers: models that read the same grids, whose words are learned too.
    """

    rate_option = "--fine-tune-rate"

    def __init__(
        self, context: Context, network: TunedModel, config: FineTuningConfig, teachers: Sequence[TunedModel] = ()
    ) -> None:
        self.config = config
        self._taught = teacher_probabilities(teachers, context.train) if teachers else None
        own = context.with_settings(epochs=config.fine_tune_epochs, learning_rate=config.fine_tune_rate)
        super().__init__(own, network)

    def slow_variables(self) -> tuple[Any, float]:
        """Return the encoder's layers and their rate."""
        return self.network.layers_behind.trainable_variables, self.config.encoder_rate

    def objective(self) -> CaptionLoss:
        """Return the loss to minimise, of which the teachers have a share."""
        return CaptionLoss(self.network, self.context.training.label_smoothing, self.config.distillation)

    def prepare(self, number: int, batch: Batch) -> Batch:
        """Return the network's input for a batch, with the teachers' probabilities of its words (N, C)."""
        prepared = super().prepare(number, batch)
        if self._taught is None:
            return prepared
        targets = self._taught[batch["rows"][batch["word_images"]], batch["word_places"]]  # (N, C)
        words, probabilities = targets["word"].astype(np.int32), targets["probability"]
        return prepared | {"teacher_words": words, "teacher_probabilities": probabilities}

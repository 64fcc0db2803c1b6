"""The optimiser of all trainings."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from captioner.config.training import CharTrainingConfig, TrainingConfig

WARMUP_SHARE = 0.2
"""Share of a stage's steps that the warm-up takes at most."""


def make_optimizer(
    variables: list[keras.Variable],
    config: TrainingConfig | CharTrainingConfig,
    steps: int,
    slow: tuple[Sequence[keras.Variable], float] = ((), 0.0),
) -> keras.optimizers.Optimizer:
    """Make AdamW (Loshchilov & Hutter 2019) for `variables`, with warm-up and cosine decay over `steps`.

    In the scope of a strategy with several devices, each of them is to give its share of the gradient, see
    `captioner.training.step`.

    Args:
        variables: what is trained.
        config: rates, decay, clipping and averaging.
        steps: of the whole stage.
        slow: some of the variables, which are trained at another highest rate, and without weight decay, which would
            pull them away from where they began.
    """
    warmup = min(config.warmup_steps, int(steps * WARMUP_SHARE))
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=config.learning_rate / (warmup + 1),  # the first step learns too
        warmup_target=config.learning_rate,
        warmup_steps=warmup,
        decay_steps=max(1, steps - warmup),
    )
    own = {id(variable) for variable in slow[0]}
    optimizer = AveragingAdamW(
        [slow[1] / config.learning_rate if id(variable) in own else 1.0 for variable in variables],
        schedule,
        weight_decay=config.weight_decay,
        global_clipnorm=config.clip_norm / tf.distribute.get_strategy().num_replicas_in_sync,
        name="adamw",
        use_ema=config.ema_momentum > 0,
        ema_momentum=config.ema_momentum or 0.99,
    )
    optimizer.exclude_from_weight_decay(var_list=list(slow[0]), var_names=["bias", "gamma", "beta"])
    optimizer.build(variables)
    return optimizer


class AveragingAdamW(keras.optimizers.AdamW):
    """AdamW with a learning rate for each variable, and a moving average of the weights that soon forgets the first.

    With a constant momentum m the average remembers the last 1 / (1 - m) steps, and so after few steps still holds much
    of the weights that the training began with. Here its momentum at step t is min(m, (1 + t) / (10 + t)), as in
    `tf.train.ExponentialMovingAverage`.

    Args:
        scales: for each variable, what the schedule's rate is multiplied by.
    """

    def __init__(self, scales: Sequence[float], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._scales = list(scales)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update a variable at its own rate; Keras calls this for each."""
        super().update_step(gradient, variable, learning_rate * self._scales[self._get_variable_index(variable)])

    def _update_model_variables_moving_average(self, trainable_variables: Any) -> None:
        highest = self.ema_momentum  # type: ignore[has-type]
        step = keras.ops.cast(self.iterations, "float32")
        self.ema_momentum = keras.ops.minimum(highest, (1 + step) / (10 + step))
        try:
            super()._update_model_variables_moving_average(trainable_variables)
        finally:
            self.ema_momentum = highest


def averaged_weights(
    network: keras.Model, optimizer: keras.optimizers.Optimizer, variables: list[keras.Variable]
) -> list[np.ndarray]:
    """Return a network's weights, with the optimiser's moving average of its `variables` where it keeps one.

    The network does not change. The average lies nearer to the middle of the valley that a step size keeps jumping
    across (Polyak & Juditsky 1992).
    """
    weights = network.get_weights()
    if optimizer.use_ema:
        optimizer.finalize_variable_values(variables)
        averaged = network.get_weights()
        network.set_weights(weights)
        return averaged
    return weights

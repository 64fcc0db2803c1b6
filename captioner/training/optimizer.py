"""The optimiser that all models here are trained with."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from captioner.config import CharTrainingConfig, TrainingConfig


def make_optimizer(
    network: keras.Model,
    config: TrainingConfig | CharTrainingConfig,
    steps: int,
    variables: list[keras.Variable] | None = None,
    slow: tuple[Sequence[keras.Variable], float] = ((), 0.0),
) -> keras.optimizers.Optimizer:
    """Make AdamW (Loshchilov & Hutter 2019) for `network`, with warm-up and cosine decay over `steps`.

    In the scope of a strategy with several devices, each of them is to give its share of the gradient, see
    `captioner.training.step`.

    Args:
        network: what is trained.
        config: rates, decay, clipping and averaging.
        steps: of the whole training.
        variables: those that are to be trained, where these are not all.
        slow: some of them that are trained at another highest rate, and without weight decay, which would pull them
            away from where they began.
    """
    warmup = min(config.warmup_steps, steps // 2)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        warmup_target=config.learning_rate,
        warmup_steps=warmup,
        decay_steps=max(1, steps - warmup),
    )
    variables = network.trainable_variables if variables is None else variables
    own = {id(variable) for variable in slow[0]}
    optimizer = _ScaledAdamW(
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


class _ScaledAdamW(keras.optimizers.AdamW):
    """AdamW in which each variable's learning rate is the schedule's times a number of its own."""

    def __init__(self, scales: Sequence[float], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._scales = list(scales)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        super().update_step(gradient, variable, learning_rate * self._scales[self._get_variable_index(variable)])


def averaged_weights(
    network: keras.Model, optimizer: keras.optimizers.Optimizer, variables: list[keras.Variable] | None = None
) -> list[np.ndarray]:
    """Return the moving average of a network's weights, where the optimiser keeps one, else the weights; none change.

    `variables` are those that the optimiser was made for, where these are not all that the network trains.

    It lies nearer to the middle of the valley that a step size keeps jumping across (Polyak & Juditsky 1992).
    """
    weights = network.get_weights()
    if optimizer.use_ema:
        optimizer.finalize_variable_values(network.trainable_variables if variables is None else variables)
        averaged = network.get_weights()
        network.set_weights(weights)
        return averaged
    return weights

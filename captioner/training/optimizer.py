"""The optimiser that all models here are trained with."""

import keras
import numpy as np
import tensorflow as tf

from captioner.config import CharTrainingConfig, TrainingConfig


def make_optimizer(
    network: keras.Model,
    config: TrainingConfig | CharTrainingConfig,
    steps: int,
    variables: list[keras.Variable] | None = None,
) -> keras.optimizers.Optimizer:
    """Make AdamW (Loshchilov & Hutter 2019) for `network`, with warm-up and cosine decay over `steps`.

    Where only some `variables` are to be trained, they are given. In the scope of a strategy with several devices, each
    of them is to give its share of the gradient, see `captioner.training.step`.
    """
    warmup = min(config.warmup_steps, steps // 2)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        warmup_target=config.learning_rate,
        warmup_steps=warmup,
        decay_steps=max(1, steps - warmup),
    )
    optimizer = keras.optimizers.AdamW(
        schedule,
        weight_decay=config.weight_decay,
        global_clipnorm=config.clip_norm / tf.distribute.get_strategy().num_replicas_in_sync,
        use_ema=config.ema_momentum > 0,
        ema_momentum=config.ema_momentum or 0.99,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    optimizer.build(network.trainable_variables if variables is None else variables)
    return optimizer


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

"""The optimiser that all models here are trained with."""

import keras

from captioner.config import CharTrainingConfig, TrainingConfig


def make_optimizer(
    network: keras.Model, config: TrainingConfig | CharTrainingConfig, steps: int
) -> keras.optimizers.Optimizer:
    """Make AdamW (Loshchilov & Hutter 2019) for `network`, with warm-up and cosine decay over `steps`."""
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
        global_clipnorm=config.clip_norm,
        use_ema=config.ema_momentum > 0,
        ema_momentum=config.ema_momentum or 0.99,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    optimizer.build(network.trainable_variables)
    return optimizer

"""The last layers of an encoder and the decoder behind them as one network, for training them together."""

from typing import Any

import keras
from keras import ops

from captioner.config.model import ModelConfig
from captioner.config.serialization import from_json, to_json
from captioner.models.captioner import CaptionModel
from captioner.models.encoder import build_encoder, last_layers


@keras.saving.register_keras_serializable("captioner")
class TunedModel(keras.Model):
    """What an encoder's layers up to `fine_tune_after` see and the words so far in, logits of the next words out.

    The layers before that one never change, so that what they see can be kept, and each photo costs a few layers a
    pass. Batch normalisation keeps the means and variances of ImageNet: those of a batch of 32 photos are worse.

    Args:
        config: the encoder, with `fine_tune_after`, and the sizes of the decoder.
    """

    def __init__(self, config: ModelConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config
        encoder = build_encoder(config.encoder, None)
        encoder.trainable = True
        # A copy, since the layers themselves keep the rest of the encoder alive
        self.layers_behind = keras.models.clone_model(last_layers(encoder, config.encoder.fine_tune_after))
        self.captioner = CaptionModel(config.decoder, dtype=self.dtype_policy)
        self.built = True

    @classmethod
    def of(
        cls, config: ModelConfig, layers_behind: keras.Model, captioner: CaptionModel, **kwargs: Any
    ) -> "TunedModel":
        """Join copies of the last layers of an encoder and of a decoder; `kwargs` are the constructor's."""
        joined = cls(config, **kwargs)
        joined.layers_behind.set_weights(layers_behind.get_weights())
        joined.captioner.set_weights(captioner.get_weights())
        return joined

    def features(self, grid: Any) -> Any:
        """Read what the frozen layers see (B, L', D') -> features (B, L, D)."""
        return self.layers_behind(ops.cast(grid, "float32"), training=False)

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """Predict the next words.

        Args:
            inputs: `features` (B, L', D') of the frozen layers; `tokens`, `positions` and `active` as `CaptionModel`
                takes them.
            training: whether to drop out.

        Returns:
            logits (N, V) at the positions, or (B, K, T, V).
        """
        return self.captioner({**inputs, "features": self.features(inputs["features"])}, training=training)

    def reseed(self, seed: int, epoch: int) -> None:
        """Make the coming dropout depend on these two numbers alone, so that a resumed epoch repeats itself."""
        self.captioner.reseed(seed, epoch)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "config": to_json(self.config)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TunedModel":
        """Build the model, without its weights, from what `get_config` gave."""
        return cls(**{**config, "config": from_json(ModelConfig, config["config"], "TunedModel")})

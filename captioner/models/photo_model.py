"""Encoder and decoder as one network, for training them together."""

from typing import Any

import keras
import numpy as np

from captioner.config.model import ModelConfig
from captioner.config.serialization import from_json, to_json
from captioner.models.captioner import CaptionModel
from captioner.models.compact import build_compact


@keras.saving.register_keras_serializable("captioner")
class PhotoModel(keras.Model):
    """Photos and the words so far in, logits of the next words out.

    Args:
        config: the sizes of both.
    """

    def __init__(self, config: ModelConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.encoder = build_compact(config.encoder.image_size, self.dtype_policy, channels=config.decoder.channels)
        self.captioner = CaptionModel(config.decoder, dtype=self.dtype_policy)
        self.built = True

    def regions(self, images: Any, training: bool = False) -> Any:
        """Read images (B, S, S, 3) in [-1, 1] -> the decoder's regions (B, L, U)."""
        return self.captioner.decoder.regions(self.encoder(images, training=training))

    def predict_words(
        self, regions: Any, tokens: Any, positions: Any, training: bool = False, active: Any = None
    ) -> Any:
        """Predict as `CaptionModel` does: regions (B, L, U), tokens (B, K, T), positions (N,) -> logits (N, V)."""
        decoder = self.captioner.decoder
        return decoder.predict(decoder.make_memory(regions, training), tokens, positions, training, active)

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """Predict the next words.

        Args:
            inputs: `images` float32 (B, S, S, 3) in [-1, 1]; `tokens` and `positions` as `CaptionModel` takes them.
            training: whether to drop out, and to normalise over the batch.

        Returns:
            logits (N, V) at the positions, or (B, K, T, V).
        """
        regions = self.regions(inputs["images"], training)
        positions, active = inputs.get("positions"), inputs.get("active")
        return self.predict_words(regions, inputs["tokens"], positions, training, active)

    def in_float32(self) -> "PhotoModel":
        """Return a copy, weights and all, that computes in float32, as prediction does."""
        copy = PhotoModel(self.config, dtype="float32")
        copy.set_weights(self.get_weights())
        return copy

    def take_decoder(self, weights: dict[str, np.ndarray]) -> None:
        """Start the decoder at weights by name, all but `place`, which reads the features of another encoder.

        A decoder that knows more words than the weights have keeps its own for those.
        """
        for variable in self.captioner.weights:
            name = variable.path.split("decoder/", 1)[1]
            if name.startswith("place/"):
                continue
            values, saved = keras.ops.convert_to_numpy(variable).copy(), weights[name]
            values[tuple(slice(size) for size in saved.shape)] = saved
            variable.assign(values)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "config": to_json(self.config)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "PhotoModel":
        """Build the model, without its weights, from what `get_config` gave."""
        return cls(**{**config, "config": from_json(ModelConfig, config["config"], "PhotoModel")})

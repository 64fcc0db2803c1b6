"""What training lowers: cross-entropy with smoothed labels."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("captioner")
class SmoothedCrossEntropy(keras.losses.Loss):
    """Cross-entropy, in nats, against a target that gives `label_smoothing` to all V words alike.

    (1 - e) * -log p(target) + e * mean over words of -log p(word); Szegedy et al. 2016, section 7. Targets are numbers
    (N,), logits (N, V), so no one-hot array of the vocabulary's size is made. With e = 0 it is plain cross-entropy.
    """

    def __init__(self, label_smoothing: float = 0.0, name: str = "smoothed_cross_entropy", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each word, (N,)."""
        wanted = ops.take_along_axis(y_pred, ops.expand_dims(ops.cast(y_true, "int32"), -1), axis=-1)[:, 0]
        smoothed = (1 - self.label_smoothing) * wanted + self.label_smoothing * ops.mean(y_pred, axis=-1)
        return ops.logsumexp(y_pred, axis=-1) - smoothed

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "label_smoothing": self.label_smoothing}

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
        targets, smoothing = ops.cast(y_true, "int32"), self.label_smoothing

        @ops.custom_gradient
        def loss(logits: Any) -> tuple[Any, Any]:
            top = ops.max(logits, axis=-1, keepdims=True)  # (N, 1)
            parts = ops.exp(logits - top)  # (N, V)
            total = ops.sum(parts, axis=-1, keepdims=True)  # (N, 1)
            wanted = ops.take_along_axis(logits, ops.expand_dims(targets, -1), axis=-1)[:, 0]  # (N,)
            smoothed = (1 - smoothing) * wanted + smoothing * ops.mean(logits, axis=-1)

            # p - (1 - e) onehot(target) - e / V, with as few passes over (N, V) as can be: it is the largest array of
            # the training. Automatic differentiation would make it anew for each of a dozen operations.
            def backward(*args: Any, upstream: Any = None) -> Any:
                (d_loss,) = args if upstream is None else (upstream,)
                each = ops.expand_dims(d_loss, -1)  # (N, 1)
                d_logits = parts * (each / total) - each * (smoothing / logits.shape[-1])  # (N, V)
                places = ops.stack([ops.arange(ops.shape(targets)[0], dtype="int32"), targets], axis=-1)  # (N, 2)
                return ops.scatter_update(d_logits, places, (smoothing - 1) * d_loss, reduction="add")

            return (top + ops.log(total))[:, 0] - smoothed, backward

        return loss(y_pred)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "label_smoothing": self.label_smoothing}

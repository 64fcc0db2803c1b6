"""The loss of words: cross-entropy with smoothed labels, and with teachers' probabilities."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("captioner")
class SmoothedCrossEntropy(keras.losses.Loss):
    """Cross-entropy, in nats, against a target that gives `label_smoothing` to all V words alike.

    (1 - e) * -log p(target) + e * mean over words of -log p(word); Szegedy et al. 2016, section 7. Targets are numbers
    (N,), logits (N, V), so no one-hot array of the vocabulary's size is made. With e = 0 it is plain cross-entropy.

    With a teacher (Hinton et al. 2015) the targets are three: the numbers (N,), and of K words that the teacher gives
    most to their numbers (N, K) and probabilities q (N, K). The loss is then (1 - d) times that above, and d times the
    sum over these words of -q log p(word).

    Args:
        label_smoothing: e.
        distillation: the teacher's share d; unused without one.
        name: of the loss.
        **kwargs: of `keras.losses.Loss`.
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        distillation: float = 0.0,
        name: str = "smoothed_cross_entropy",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.label_smoothing = label_smoothing
        self.distillation = distillation

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each word, (N,)."""
        targets, *taught = y_true if isinstance(y_true, (tuple, list)) else (y_true,)
        share = self.distillation if taught else 0.0
        even = (1 - share) * self.label_smoothing  # of all words together
        targets = ops.expand_dims(ops.cast(targets, "int32"), -1)  # (N, 1)
        weights = ops.full_like(targets, (1 - share) * (1 - self.label_smoothing), y_pred.dtype)  # (N, 1)
        if taught:
            words, probabilities = taught
            targets = ops.concatenate([targets, ops.cast(words, "int32")], axis=-1)  # (N, 1 + K)
            weights = ops.concatenate([weights, share * ops.cast(probabilities, y_pred.dtype)], axis=-1)
        weight_sum = ops.sum(weights, axis=-1, keepdims=True) + even  # (N, 1), one where a teacher's K words are all

        @ops.custom_gradient
        def loss(logits: Any) -> tuple[Any, Any]:
            top = ops.max(logits, axis=-1, keepdims=True)  # (N, 1)
            parts = ops.exp(logits - top)  # (N, V)
            total = ops.sum(parts, axis=-1, keepdims=True)  # (N, 1)
            wanted = ops.sum(weights * ops.take_along_axis(logits, targets, axis=-1), axis=-1)  # (N,)
            smoothed = wanted + even * ops.mean(logits, axis=-1)

            # p - onehot(targets) weights - e / V, with as few passes over (N, V) as can be: it is the largest array of
            # the training. Automatic differentiation would allocate it for each of a dozen operations.
            def backward(*args: Any, upstream: Any = None) -> Any:
                (d_loss,) = args if upstream is None else (upstream,)
                each = ops.expand_dims(d_loss, -1)  # (N, 1)
                d_logits = parts * (each * weight_sum / total) - each * (even / logits.shape[-1])  # (N, V)
                rows = ops.zeros_like(targets) + ops.arange(ops.shape(targets)[0], dtype="int32")[:, None]
                indices = ops.reshape(ops.stack([rows, targets], axis=-1), (-1, 2))  # (N * (1 + K), 2)
                return ops.scatter_update(d_logits, indices, ops.reshape(-each * weights, (-1,)), reduction="add")

            return (weight_sum * (top + ops.log(total)))[:, 0] - smoothed, backward

        return loss(y_pred)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"label_smoothing": self.label_smoothing, "distillation": self.distillation}
        return {**super().get_config(), **own}

"""Where to look: the additive attention of Bahdanau, Cho and Bengio (2015)."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("captioner")
class BahdanauAttention(keras.layers.Layer):
    """Weigh the places of an image by how well each fits the state: v . tanh(m_l W_k + b + h W_q).

    Bahdanau et al. 2015, section A.1.2; for images, Xu et al. 2015, equations 4 to 6 and 13. The products m_l W_k do
    not change from word to word: `keys` makes them once an image, and all its captions share them.

    Args:
        attention_dim: size of the space in which state and place are compared (A).
    """

    def __init__(self, attention_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.attention_dim = attention_dim
        self.key = keras.layers.Dense(attention_dim, name="key", dtype=self.dtype_policy)
        self.query = keras.layers.Dense(attention_dim, use_bias=False, name="query", dtype=self.dtype_policy)

    def build(self, query_shape: tuple[int | None, ...], values_shape: tuple[int | None, ...]) -> None:
        """Create W_q (U, A), W_k (F, A) with its bias, and v (A, 1)."""
        self.query.build(query_shape)
        self.key.build(values_shape)
        self.scale = self.add_weight(
            name="scale", shape=(self.attention_dim, 1), initializer=keras.initializers.RandomNormal(stddev=0.05)
        )

    def keys(self, values: Any) -> Any:
        """Return m_l W_k + b: (B, L, F) -> (B, L, A)."""
        return self.key(values)

    def call(self, query: Any, keys: Any, values: Any) -> tuple[Any, Any]:
        """Return the context and the weights that made it.

        Args:
            query: states h of the K captions of each image (B, K, U).
            keys: what `keys` gave (B, L, A).
            values: the places of the image (B, L, F).

        Returns:
            context (B, K, F), the weighted sum of the places; weights (B, K, L), which sum to 1 over L.
        """
        # Number by number, not by matrix products, processors are slower in half precision than in float32.
        exact = keras.backend.result_type(self.compute_dtype, "float32")
        keys, query = ops.cast(keys, exact), ops.cast(self.query(query), exact)
        fit = ops.tanh(ops.expand_dims(keys, 1) + ops.expand_dims(query, 2))  # (B, K, L, A)
        # One tall product reads `fit` once; a product and a sum over its last axis would read and write it three times.
        scores = ops.matmul(ops.reshape(fit, (-1, self.attention_dim)), ops.cast(self.scale, exact))  # (B*K*L, 1)
        weights = ops.softmax(ops.reshape(scores, ops.shape(fit)[:-1]))  # (B, K, L)
        weights = ops.cast(weights, self.compute_dtype)
        return ops.matmul(weights, values), weights

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "attention_dim": self.attention_dim}

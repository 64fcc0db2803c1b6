"""Where to look: the additive attention of Bahdanau, Cho and Bengio (2015)."""

from typing import Any

import keras
from keras import ops

Shape = tuple[int | None, ...]


@keras.saving.register_keras_serializable("captioner")
class BahdanauAttention(keras.layers.Layer):
    """Weigh the regions of an image by how well each fits the state: v . tanh(m_l W_k + b + h W_q).

    Bahdanau et al. 2015, section A.1.2; for images, Xu et al. 2015, equations 4 to 6 and 13. The products m_l W_k do
    not change from word to word: `keys` makes them once an image, and all its captions share them:

        attention = BahdanauAttention(128)
        keys = attention.keys(values)
        context, weights = attention(query, keys, values)

    Where each image is looked at once, `attention(query, values=values)` is the same.

    Args:
        attention_dim: size of the space in which state and region are compared (A).
    """

    def __init__(self, attention_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.attention_dim = attention_dim
        self.key = keras.layers.Dense(attention_dim, name="key", dtype=self.dtype_policy)
        self.query = keras.layers.Dense(attention_dim, use_bias=False, name="query", dtype=self.dtype_policy)

    def build(self, query_shape: Shape | None = None, values_shape: Shape | None = None) -> None:
        """Create W_q (U, A), W_k (F, A) with its bias, and v (A, 1); a projection waits where its shape is None."""
        self._build_projections(query_shape, values_shape)
        self.scale = self.add_weight(
            name="scale", shape=(self.attention_dim, 1), initializer=keras.initializers.RandomNormal(stddev=0.05)
        )

    def _build_projections(self, query_shape: Shape | None, values_shape: Shape | None) -> None:
        for projection, shape in ((self.query, query_shape), (self.key, values_shape)):
            if shape is not None and not projection.built:
                projection.build(shape)

    def keys(self, values: Any) -> Any:
        """Return m_l W_k + b: (B, L, F) -> (B, L, A)."""
        return self(values=values)[1]

    def call(self, query: Any = None, keys: Any = None, values: Any = None) -> Any:
        """Return the context and the weights that made it; without `query`, the values as they are and their keys.

        Keras's functional models can only hold a layer whose calls all have as many results.

        Args:
            query: states h of the K captions of each image (B, K, U).
            keys: what `keys` gave (B, L, A); not given, they are made here.
            values: the regions of the image (B, L, F).

        Returns:
            context (B, K, F), the weighted sum of the regions; weights (B, K, L), which sum to 1 over L.

        Raises:
            ValueError: `values` is missing, or an array does not have three axes.
        """
        _check_ranks(query, keys, values)
        keys = self.key(values) if keys is None else keys
        if query is None:
            return values, keys
        # Number by number, not by matrix products, processors are slower in half precision than in float32.
        exact = keras.backend.result_type(self.compute_dtype, "float32")
        keys, query = ops.cast(keys, exact), ops.cast(self.query(query), exact)
        fit = ops.tanh(ops.expand_dims(keys, 1) + ops.expand_dims(query, 2))  # (B, K, L, A)
        # One tall product reads `fit` once; a product and a sum over its last axis would read and write it three times.
        scores = ops.matmul(ops.reshape(fit, (-1, self.attention_dim)), ops.cast(self.scale, exact))  # (B*K*L, 1)
        weights = ops.softmax(ops.reshape(scores, ops.shape(fit)[:-1]))  # (B, K, L)
        weights = ops.cast(weights, self.compute_dtype)
        return ops.matmul(weights, values), weights

    def compute_output_spec(self, query: Any = None, keys: Any = None, values: Any = None) -> Any:
        """Return what a symbolic call gives; it may be the second one, which is the first to show a query."""
        _check_ranks(query, keys, values)
        self._build_projections(*(None if each is None else each.shape for each in (query, values)))
        return super().compute_output_spec(query, keys, values)

    def compute_output_shape(self, query_shape: Shape | None = None, values_shape: Shape | None = None) -> Any:
        """Return the shapes of what `call` returns."""
        assert values_shape is not None
        if query_shape is None:
            return values_shape, (*values_shape[:2], self.attention_dim)
        return (*query_shape[:2], values_shape[2]), (*query_shape[:2], values_shape[1])

    def get_build_config(self) -> dict[str, Any]:
        """Return the shapes for `build`, those of later calls too."""
        sizes = (each.kernel.shape[0] if each.built else None for each in (self.query, self.key))
        shapes = [None if size is None else (None, None, size) for size in sizes]
        return {"query_shape": shapes[0], "values_shape": shapes[1]}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Create the weights of a layer whose `get_build_config` gave this."""
        self.build(**config)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "attention_dim": self.attention_dim}


def _check_ranks(query: Any, keys: Any, values: Any) -> None:
    if values is None:
        raise ValueError("values: expected the regions of the images (B, L, F), found None")
    for name, layout, array in (("query", "B, K, U", query), ("keys", "B, L, A", keys), ("values", "B, L, F", values)):
        if array is not None and len(array.shape) != 3:
            raise ValueError(f"{name}: expected three axes ({layout}), found shape {tuple(array.shape)}")

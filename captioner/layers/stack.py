"""Recurrent layers one above the other, read a window of a sequence at a time."""

from collections.abc import Sequence
from typing import Any

import keras

from captioner.layers.cells import make_cell


@keras.saving.register_keras_serializable("captioner")
class RecurrentStack(keras.layers.Layer):
    """N recurrences of one kind, with skips, normalisation and dropout between them.

    Layer n, with cell_n in its state h and the layer below's output y_{n-1}, does for each step t

        y_{n,t} = dropout(LayerNorm(cell_n(y_{n-1,t}, h_{n,t-1}) + y_{n-1,t}))

    where the sum, a skip connection (He et al. 2016), is left out of the first layer, whose inputs have another size,
    and the normalisation (Ba et al. 2016) where `layer_norm` says so. Dropout stays off the path from step to step
    (Zaremba et al. 2014), and drops the same units at all steps of a window (Gal & Ghahramani 2016), which also needs
    T times fewer random numbers.

    Each layer reads the whole window before the next begins: the products with its inputs are then one large product,
    and only the products with the states wait their turn. The loop over the steps is unrolled, so a graph has a fixed
    length. A window of one step is how text is generated.

    Args:
        cell: `rnn`, `gru` or `lstm`.
        layers: recurrences (N).
        units: size of each one's state (U).
        dropout: share of each layer's output dropped in training.
        layer_norm: whether to normalise each layer's output.
        recurrent_dropout: share of each W_h dropped, redrawn for each window (Merity et al. 2018, section 2).
    """

    def __init__(
        self,
        cell: str,
        layers: int,
        units: int,
        dropout: float = 0.0,
        layer_norm: bool = True,
        recurrent_dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.settings: dict[str, Any] = {
            "cell": cell,
            "layers": layers,
            "units": units,
            "dropout": dropout,
            "recurrent_dropout": recurrent_dropout,
            "layer_norm": layer_norm,
        }
        dtype = self.dtype_policy
        numbers = range(1, layers + 1)
        self.cells = [make_cell(cell, units, name=f"cell_{number}", dtype=dtype) for number in numbers]
        self.norms = [
            keras.layers.LayerNormalization(name=f"norm_{number}", dtype=dtype) for number in numbers if layer_norm
        ]
        self.dropout = keras.layers.Dropout(dropout, noise_shape=(None, 1, None), name="dropout", dtype=dtype)

        self.recurrent_dropout = keras.layers.Dropout(recurrent_dropout, name="recurrent_dropout", dtype=dtype)

    def build(self, inputs_shape: tuple[int | None, ...], *unused: Any) -> None:
        """Create all weights for inputs (B, T, D)."""
        outputs_shape = (None, None, self.settings["units"])
        for number, cell in enumerate(self.cells):
            cell.build(outputs_shape if number else inputs_shape)
        for norm in self.norms:
            norm.build(outputs_shape)

    def initial_states(self, batch_size: int) -> list[Any]:
        """Return zeros (B, U), those of the lowest layer first."""
        return [state for cell in self.cells for state in cell.get_initial_state(batch_size)]

    def call(self, inputs: Any, states: Sequence[Any], training: bool = False) -> tuple[Any, list[Any]]:
        """Read a window: inputs (B, T, D), states (B, U) each -> the top layer's outputs (B, T, U), states after it."""
        before, after = list(states), []
        for number, cell in enumerate(self.cells):
            own, before = before[: cell.states], before[cell.states :]
            W_h = self.recurrent_dropout(cell.recurrent_kernel, training=training)  # (U, G*U)
            read, own = cell.unroll(cell.project(inputs), own, W_h)  # (B, T, U)
            after += own
            if number:
                read = read + inputs
            if self.norms:
                read = self.norms[number](read)
            inputs = self.dropout(read, training=training)
        return inputs, after

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **self.settings}

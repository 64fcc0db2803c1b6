"""The recurrences: the vanilla tanh cell, and the gated cells that swap in for it, by name.

Each cell splits its arithmetic in two. `project` depends on the inputs alone, so a caller that has a whole sentence
multiplies all its steps at once; `advance` needs the state before, and is all that must wait its turn.
"""

from typing import Any

import keras
from keras import ops

from captioner.config.model import CELLS


class Cell(keras.layers.Layer):
    """What the recurrences share; a subclass says how a state follows from the one before.

    Weights: W_x `kernel` (D, G*U), W_h `recurrent_kernel` (U, G*U), orthogonal for each gate (Saxe et al. 2014), and
    b `bias` (G*U,), with G `gates` side by side.

    Args:
        units: size of the state (U).
    """

    gates = 1
    states = 1

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.state_size: int | list[int] = units if self.states == 1 else [units] * self.states
        self.output_size = units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs (..., D)."""
        width = self.gates * self.units
        self.kernel = self.add_weight(name="kernel", shape=(input_shape[-1], width), initializer="glorot_uniform")
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel", shape=(self.units, width), initializer=self._orthogonal_gates
        )
        self.bias = self.add_weight(name="bias", shape=(width,), initializer="zeros")

    def _orthogonal_gates(self, shape: tuple[int, int], dtype: str | None = None) -> Any:
        orthogonal = keras.initializers.Orthogonal()
        square = (self.units, self.units)
        return ops.concatenate([orthogonal.clone()(square, dtype) for _ in range(self.gates)], axis=-1)

    def project(self, inputs: Any) -> Any:
        """Return x W_x + b: (..., D) -> (..., G*U)."""
        return ops.matmul(inputs, self._cast(self.kernel)) + self._cast(self.bias)

    def advance(self, projected: Any, states: list[Any], W_h: Any = None) -> list[Any]:
        """Take the part of a step that needs the state before.

        Args:
            projected: what `project` gave (..., G*U).
            states: those before the step (..., U).
            W_h: stands in for the cell's own (U, G*U), such as one with dropout.

        Returns:
            the states after the step (..., U); the first is the output.
        """
        raise NotImplementedError

    def unroll(self, projected: Any, states: list[Any], W_h: Any = None) -> tuple[Any, list[Any]]:
        """Advance through a window of fixed length: projected inputs (B, T, G*U), states (B, U), `W_h` as above.

        Returns:
            the output of every step (B, T, U), and the states after the last.
        """
        outputs = []
        for each in ops.unstack(projected, axis=1):  # T times (B, G*U)
            states = self.advance(each, states, W_h)
            outputs.append(states[0])
        return ops.stack(outputs, axis=1), states

    def call(self, inputs: Any, states: list[Any], training: bool = False) -> tuple[Any, list[Any]]:
        """Take one step as `keras.layers.RNN` asks for it: inputs (B, D), states (B, U) -> output (B, U), states."""
        states = self.advance(self.project(inputs), list(states))
        return states[0], states

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of a step's output: (..., D) -> (..., U)."""
        return (*input_shape[:-1], self.units)

    def get_initial_state(self, batch_size: int | None = None) -> list[Any]:
        """Return zeros (B, U), one array a state."""
        return [ops.zeros((batch_size, self.units), dtype=self.compute_dtype) for _ in range(self.states)]

    def _recurrent(self, W_h: Any) -> Any:
        return self._cast(self.recurrent_kernel if W_h is None else W_h)

    def _cast(self, weight: Any) -> Any:
        # Keras casts weights for mixed precision inside `__call__` alone, and a decoder calls the halves of a step.
        return ops.cast(weight, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("captioner")
class RNNCell(Cell):
    """The vanilla recurrence h_t = tanh(x_t W_x + h_{t-1} W_h + b) (Elman 1990)."""

    def advance(self, projected: Any, states: list[Any], W_h: Any = None) -> list[Any]:
        """Return [h_t]."""
        (h,) = states
        return [ops.tanh(projected + ops.matmul(h, self._recurrent(W_h)))]

    def unroll(self, projected: Any, states: list[Any], W_h: Any = None) -> tuple[Any, list[Any]]:
        """Do as `Cell.unroll`, with the gradient of W_h made once for all steps."""
        (h,) = states
        outputs = _unroll_tanh(projected, self._recurrent(W_h), h)
        # Not `outputs[:, -1]`: TensorFlow's optimiser of graphs confuses that slice with what is later made of it.
        return outputs, [ops.take(outputs, -1, axis=1)]


@ops.custom_gradient
def _unroll_tanh(projected: Any, W_h: Any, h: Any) -> tuple[Any, Any]:
    """Return h_1 ... h_T (B, T, U) with h_t = tanh(projected_t + h_{t-1} W_h), and how to go back through them.

    Left to itself, automatic differentiation makes T gradients of W_h, (U, U) each, and adds them up, in half precision
    if it computes in that; one product over all steps is the same sum in a fraction of the time.
    """
    states = [h]
    for each in ops.unstack(projected, axis=1):
        states.append(ops.tanh(each + ops.matmul(states[-1], W_h)))
    outputs = ops.stack(states[1:], axis=1)  # (B, T, U)

    def backward(*args: Any, upstream: Any = None) -> tuple[Any, Any, Any]:
        (d_outputs,) = args if upstream is None else (upstream,)
        slopes = ops.unstack(1 - ops.square(outputs), axis=1)  # tanh' = 1 - tanh²
        d_h, d_sums = ops.zeros_like(h), []
        for d_output, slope in zip(reversed(ops.unstack(d_outputs, axis=1)), reversed(slopes), strict=True):
            d_sums.append((d_output + d_h) * slope)  # (B, U)
            d_h = ops.matmul(d_sums[-1], ops.transpose(W_h))
        d_projected = ops.stack(d_sums[::-1], axis=1)  # (B, T, U)
        before = ops.reshape(ops.stack(states[:-1], axis=1), (-1, W_h.shape[0]))  # (B*T, U)
        d_W_h = ops.matmul(ops.transpose(before), ops.reshape(d_projected, (-1, W_h.shape[0])))  # (U, U)
        return d_projected, d_W_h, d_h

    return outputs, backward


@keras.saving.register_keras_serializable("captioner")
class GRUCell(Cell):
    """The gated recurrent unit (Cho et al. 2014), with the reset gate behind the recurrent product.

    z = s(x W_z + h U_z + b_z); r = s(x W_r + h U_r + b_r); n = tanh(x W_n + b_n + r * (h U_n + b_h));
    h_t = z * h + (1 - z) * n. The gates stand in the order z, r, n.
    """

    gates = 3

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights, and b_h (U,), which lies inside the reset gate."""
        super().build(input_shape)
        self.candidate_bias = self.add_weight(name="candidate_bias", shape=(self.units,), initializer="zeros")

    def advance(self, projected: Any, states: list[Any], W_h: Any = None) -> list[Any]:
        """Return [h_t]."""
        (h,) = states
        x_z, x_r, x_n = ops.split(projected, 3, axis=-1)
        h_z, h_r, h_n = ops.split(ops.matmul(h, self._recurrent(W_h)), 3, axis=-1)
        update = ops.sigmoid(x_z + h_z)
        candidate = ops.tanh(x_n + ops.sigmoid(x_r + h_r) * (h_n + self._cast(self.candidate_bias)))
        return [update * h + (1 - update) * candidate]


@keras.saving.register_keras_serializable("captioner")
class LSTMCell(Cell):
    """The long short-term memory (Hochreiter & Schmidhuber 1997), its forget gate starting open (Gers et al. 2000).

    i, f, o = s(x W + h U + b); g = tanh(x W_g + h U_g + b_g); c_t = f * c + i * g; h_t = o * tanh(c_t).
    The gates stand in the order i, f, g, o.
    """

    gates = 4
    states = 2

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights; the forget gate's bias starts at 1."""
        super().build(input_shape)
        ones, zeros = ops.ones(self.units), ops.zeros(self.units)
        self.bias.assign(ops.concatenate([zeros, ones, zeros, zeros]))

    def advance(self, projected: Any, states: list[Any], W_h: Any = None) -> list[Any]:
        """Return [h_t, c_t]."""
        h, c = states
        i, f, g, o = ops.split(projected + ops.matmul(h, self._recurrent(W_h)), 4, axis=-1)
        c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
        return [ops.sigmoid(o) * ops.tanh(c), c]


_CELLS: dict[str, type[Cell]] = dict(zip(CELLS, (RNNCell, GRUCell, LSTMCell), strict=True))


def make_cell(cell: str, units: int, **kwargs: Any) -> Cell:
    """Make the cell called `rnn`, `gru` or `lstm`.

    Raises:
        ValueError: there is no cell of that name.
    """
    if cell not in _CELLS:
        raise ValueError(f"cell: expected one of {', '.join(_CELLS)}, found {cell!r}")
    return _CELLS[cell](units, **kwargs)

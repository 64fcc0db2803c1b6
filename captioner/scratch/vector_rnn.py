"""The recurrent network that keeps its own state and takes one vector at a time."""

import numpy as np

from captioner.scratch.activations import tanh


class VectorRNN:
    """The network as Karpathy (2015) writes it: h = tanh(W_hh h + W_xh x), y = W_hy h; vectors are columns.

    Two of them stack: `y1 = rnn1.step(x)`, `y2 = rnn2.step(y1)`. It only runs forward; to train its weights, transpose
    them into `rnn_layer.RNN`, which takes one step too, but has examples as rows, a bias, and a state that the caller
    keeps. In between stands (AB)ᵀ = BᵀAᵀ:

        VectorRNN, columns        RNN and Affine, rows
        x (D,)                    x[None] (1, D)
        h (H,)                    h_prev before the step, h_next after it (1, H)
        W_xh (H, D)               Wx = W_xhᵀ (D, H)
        W_hh (H, H)               Wh = W_hhᵀ (H, H)
        no bias                   b = 0 (H,)
        y = W_hy h (V,)           Affine(W = W_hyᵀ (H, V), b = 0 (V,))

    Args:
        W_hh: from the state to the state (H, H).
        W_xh: from the input to the state (H, D).
        W_hy: from the state to the output (V, H).
        h: the state to start from, one vector (H,) or N columns (H, N); without it, the zero vector (H,).
    """

    def __init__(self, W_hh: np.ndarray, W_xh: np.ndarray, W_hy: np.ndarray, h: np.ndarray | None = None) -> None:
        self.W_hh, self.W_xh, self.W_hy = W_hh, W_xh, W_hy
        self.h = np.zeros(len(W_hh), W_hh.dtype) if h is None else h

    def step(self, x: np.ndarray) -> np.ndarray:
        """Move the state on by the input x, (D,) or (D, N) as the state has it, and return y, (V,) or (V, N).

        Raises:
            ValueError: x is a vector and the state columns, or the other way round; NumPy would broadcast them.
        """
        if x.shape[1:] != self.h.shape[1:]:
            raise ValueError(
                f"x: expected a vector (D,) for a state (H,), or columns (D, N) for a state (H, N), "
                f"got x {x.shape} and state {self.h.shape}; pass such an x, or start from such an `h`"
            )
        self.h = tanh(self.W_hh @ self.h + self.W_xh @ x)  # (H,)
        return self.W_hy @ self.h  # (V,)

"""One step of the recurrent network, forward and backward."""

import numpy as np

from captioner.scratch.activations import tanh


class RNN:
    """The vanilla recurrence h_t = tanh(h_{t-1} Wh + x_t Wx + b) (Elman 1990); every row is an example.

    `vector_rnn.VectorRNN` is the same step with columns. The Keras cell has the same weights in the same layout:
    `kernel` is Wx, `recurrent_kernel` Wh, `bias` b.

    Args:
        Wx: from the inputs to the hidden units (D, H).
        Wh: from the hidden units to themselves, a step later (H, H).
        b: bias (H,).
    """

    def __init__(self, Wx: np.ndarray, Wh: np.ndarray, b: np.ndarray) -> None:
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(param) for param in self.params]
        self.cache: tuple[np.ndarray, ...] = ()

    def forward(self, x: np.ndarray, h_prev: np.ndarray) -> np.ndarray:
        """Return h_t (N, H) after the state `h_prev` = h_{t-1} (N, H) and the inputs x_t (N, D)."""
        Wx, Wh, b = self.params
        t = h_prev @ Wh + x @ Wx + b  # (N, H)
        h_next = tanh(t)  # (N, H)
        self.cache = (x, h_prev, h_next)
        return h_next

    def backward(self, dh_next: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return `dx` = ∂L/∂x_t (N, D) and `dh_prev` = ∂L/∂h_{t-1} (N, H) for `dh_next` = ∂L/∂h_t (N, H).

        With t = h_{t-1} Wh + x_t Wx + b and h_t = tanh(t), whose derivative is 1 - h_t²:

            dt  = dh_next * (1 - h_t²)
            db  = sum of dt over the examples
            dWh = h_{t-1}ᵀ dt           dh_prev = dt Whᵀ
            dWx = x_tᵀ dt               dx      = dt Wxᵀ
        """
        Wx, Wh, _ = self.params
        x, h_prev, h_next = self.cache
        dWx, dWh, db = self.grads

        dt = dh_next * (1 - h_next**2)  # (N, H)
        db[...] = dt.sum(axis=0)  # (H,)
        dWh[...] = h_prev.T @ dt  # (H, H)
        dh_prev = dt @ Wh.T  # (N, H)
        dWx[...] = x.T @ dt  # (D, H)
        dx = dt @ Wx.T  # (N, D)
        return dx, dh_prev

"""The recurrent network over a window of time steps: backpropagation through time, cut at the window's edge."""

import numpy as np

from captioner.scratch.rnn_layer import RNN


class TimeRNN:
    """T steps of `RNN` with the same weights; the backward pass is truncated BPTT (Williams & Peng 1990).

    A long text is read in windows of T steps. With `stateful` a window starts from the last state of the window before,
    as a number: no gradient goes back over the edge. Without it every window starts from zeros.

    Args:
        Wx: from the inputs to the hidden units (D, H).
        Wh: from the hidden units to themselves, a step later (H, H).
        b: bias (H,).
        stateful: whether the state is carried from one window to the next.

    Attributes:
        h: the state (N, H) from which the next window starts; None is zeros. Assign to start from a state of your own.
        dh: ∂L/∂h_0 (N, H) of the last `backward`, the gradient that truncation drops.
    """

    def __init__(self, Wx: np.ndarray, Wh: np.ndarray, b: np.ndarray, stateful: bool = False) -> None:
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(param) for param in self.params]
        self.cache: list[RNN] = []
        self.stateful = stateful
        self.h: np.ndarray | None = None
        self.dh: np.ndarray | None = None

    def reset_state(self) -> None:
        """Let the next window start from zeros, as at the beginning of a text."""
        self.h = None

    def forward(self, xs: np.ndarray) -> np.ndarray:
        """Return all states h_1 ... h_T (N, T, H) for the inputs x_1 ... x_T (N, T, D).

        h_t = tanh(h_{t-1} Wh + x_t Wx + b), where h_0 is `h`.

        Raises:
            ValueError: `h` does not have the shape (N, H).
        """
        N, T, _ = xs.shape
        Wx, Wh, b = self.params
        H = len(Wh)
        h = np.zeros((N, H), Wh.dtype) if self.h is None else self.h  # (N, H)
        if h.shape != (N, H):
            raise ValueError(
                f"the state `h` has the shape {h.shape}, expected {(N, H)} for inputs of {N} examples; "
                "call `reset_state()` before a window with another number of examples"
            )
        hs = np.empty((N, T, H), Wh.dtype)
        self.cache = [RNN(Wx, Wh, b) for _ in range(T)]
        for t, layer in enumerate(self.cache):
            h = layer.forward(xs[:, t], h)  # (N, H)
            hs[:, t] = h
        self.h = h if self.stateful else None
        return hs

    def backward(self, dhs: np.ndarray) -> np.ndarray:
        """Return ∂L/∂x_1 ... ∂L/∂x_T (N, T, D) for `dhs`, what each h_t adds to the loss by its own output (N, T, H).

        h_t acts on the loss through its output and through h_{t+1}, so both gradients add up, from the last step back:

            ∂L/∂h_t = dhs_t + (dh_prev of step t+1), with 0 behind the window's edge
            dWx, dWh, db = the sums over t of what each step gives, since all share the weights
        """
        N, T, _ = dhs.shape
        Wx = self.params[0]
        dxs = np.empty((N, T, len(Wx)), Wx.dtype)
        dh = np.zeros_like(dhs[:, 0])  # (N, H)
        for total in self.grads:
            total[...] = 0
        for t in reversed(range(T)):
            dxs[:, t], dh = self.cache[t].backward(dhs[:, t] + dh)
            for total, step in zip(self.grads, self.cache[t].grads, strict=True):
                total += step
        self.dh = dh
        return dxs

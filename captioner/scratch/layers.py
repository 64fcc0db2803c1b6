"""The layers before and after the recurrence, for one step (N, ...) or a window of steps (N, T, ...)."""

import numpy as np


class Embedding:
    """A row of W for every token: the product of a one-hot vector with W, without the multiplying.

    Args:
        W: one row a token (V, D).
    """

    def __init__(self, W: np.ndarray) -> None:
        self.params = [W]
        self.grads = [np.zeros_like(W)]
        self.cache: tuple[np.ndarray, ...] = ()

    def forward(self, tokens: np.ndarray) -> np.ndarray:
        """Return x = W[token] (N, T, D) for integer tokens (N, T)."""
        (W,) = self.params
        self.cache = (tokens,)
        return W[tokens]  # (N, T, D)

    def backward(self, dx: np.ndarray) -> None:
        """Take ∂L/∂x (N, T, D); dW[v] = the sum of dx over all places where the token is v. Tokens have no gradient."""
        (tokens,) = self.cache
        (dW,) = self.grads
        dW[...] = 0
        # `dW[tokens] += dx` would count a repeated token once.
        np.add.at(dW, tokens, dx)  # (V, D)


class Affine:
    """The product with a matrix, and a bias: y = x W + b.

    Args:
        W: from inputs to outputs (H, V).
        b: bias (V,).
    """

    def __init__(self, W: np.ndarray, b: np.ndarray) -> None:
        self.params = [W, b]
        self.grads = [np.zeros_like(param) for param in self.params]
        self.cache: tuple[np.ndarray, ...] = ()

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return y (N, T, V) for x (N, T, H)."""
        W, b = self.params
        self.cache = (x,)
        return x @ W + b  # (N, T, V)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return `dx` = ∂L/∂x (N, T, H) for `dy` = ∂L/∂y (N, T, V).

        With all examples and steps as rows of one matrix:

            db = sum of dy over the rows
            dW = xᵀ dy
            dx = dy Wᵀ
        """
        W, _ = self.params
        (x,) = self.cache
        dW, db = self.grads
        rows_x = x.reshape(-1, x.shape[-1])  # (N*T, H)
        rows_dy = dy.reshape(-1, dy.shape[-1])  # (N*T, V)
        db[...] = rows_dy.sum(axis=0)  # (V,)
        dW[...] = rows_x.T @ rows_dy  # (H, V)
        return dy @ W.T  # (N, T, H)

"""Karpathy's example (2015): a network of four letters and three hidden units learns to write "hello"."""

import numpy as np

from captioner.scratch.layers import Affine
from captioner.scratch.loss import SoftmaxWithLoss, softmax
from captioner.scratch.optimizers import SGD, Adagrad, clip_gradients
from captioner.scratch.time_rnn import TimeRNN

LETTERS = "helo"
_TOKENS = np.array([[LETTERS.index(letter) for letter in "hello"]])  # (1, 5)
INPUTS = np.eye(len(LETTERS))[_TOKENS[:, :-1]]  # h, e, l, l, one-hot (1, 4, 4)
TARGETS = _TOKENS[:, 1:]  # e, l, l, o (1, 4)


class Hello:
    """One-hot letter (4) → 3 hidden units → a score for each letter (4).

    After l comes l or o: the letter does not tell which, the state must.

    Args:
        seed: where the random start of the weights comes from; they are normal with variance 1 / inputs.
        stateful: whether the state is carried from one window to the next.
    """

    def __init__(self, seed: int, stateful: bool = False) -> None:
        rng = np.random.default_rng(seed)
        V, H = len(LETTERS), 3
        Wx = rng.normal(size=(V, H)) / np.sqrt(V)
        Wh = rng.normal(size=(H, H)) / np.sqrt(H)
        Wy = rng.normal(size=(H, V)) / np.sqrt(H)
        self.rnn = TimeRNN(Wx, Wh, np.zeros(H), stateful)
        self.affine = Affine(Wy, np.zeros(V))
        self.softmax = SoftmaxWithLoss()
        self.params = [*self.rnn.params, *self.affine.params]
        self.grads = [*self.rnn.grads, *self.affine.grads]

    def forward(self, xs: np.ndarray, targets: np.ndarray) -> float:
        """Return the loss, in nats a letter, for one-hot letters (N, T, V) and the letters that follow (N, T)."""
        return self.softmax.forward(self.affine.forward(self.rnn.forward(xs)), targets)

    def backward(self) -> None:
        """Fill `grads` for the last `forward`."""
        self.rnn.backward(self.affine.backward(self.softmax.backward()))

    def probabilities(self, xs: np.ndarray) -> np.ndarray:
        """Return how likely each letter is to follow (N, T, V), for one-hot letters (N, T, V)."""
        return softmax(self.affine.forward(self.rnn.forward(xs)))


def train(model: Hello, optimizer: SGD | Adagrad, steps: int, max_norm: float = 5.0) -> list[float]:
    """Train on "hello" as a single window and return the loss before each step."""
    losses = []
    for _ in range(steps):
        losses.append(model.forward(INPUTS, TARGETS))
        model.backward()
        clip_gradients(model.grads, max_norm)
        optimizer.update(model.params, model.grads)
    return losses

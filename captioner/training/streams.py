"""The training text as parallel streams, read window by window (truncated backpropagation through time)."""

from collections.abc import Iterator

import numpy as np

from captioner.errors import CaptionerError
from captioner.text import CharacterVocabulary


def shifted(targets: np.ndarray) -> np.ndarray:
    """Return what is read when `targets` (..., N) are to be predicted: the start token, then all but the last."""
    start = np.full_like(targets[..., :1], CharacterVocabulary.start)
    return np.concatenate([start, targets[..., :-1]], axis=-1)


class TextStreams:
    """B contiguous stretches of a text, side by side; each window goes on where the one before it ended.

    Args:
        tokens: the text (N,).
        batch_size: streams (B).
        sequence_length: characters of a window (T).

    Raises:
        CaptionerError: the text is too short for one window.
    """

    def __init__(self, tokens: np.ndarray, batch_size: int, sequence_length: int) -> None:
        self.tokens = tokens
        self.batch_size = batch_size
        self.sequence_length = sequence_length
        self.windows = len(tokens) // (batch_size * sequence_length)
        if not self.windows:
            raise CaptionerError(
                f"the training part of the text has {len(tokens)} characters, fewer than one batch of {batch_size} x "
                f"{sequence_length} = {batch_size * sequence_length}; give a longer text, or lower --batch-size or "
                "--sequence-length"
            )

    def __len__(self) -> int:
        """Count the windows of an epoch."""
        return self.windows

    def epoch(self, seed: int, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the windows in order: inputs and targets, int32 (B, T) each.

        The text seldom divides evenly. Where the streams begin depends on `seed` and `epoch` alone, so that over the
        epochs every character has its turn, and windows fall differently.
        """
        length = self.windows * self.sequence_length
        spare = len(self.tokens) - self.batch_size * length
        offset = int(np.random.default_rng([seed, epoch]).integers(spare + 1))
        targets = self.tokens[offset : offset + self.batch_size * length].reshape(self.batch_size, length)
        inputs = shifted(targets)
        for first in range(0, length, self.sequence_length):
            window = slice(first, first + self.sequence_length)
            yield inputs[:, window].astype(np.int32), targets[:, window].astype(np.int32)

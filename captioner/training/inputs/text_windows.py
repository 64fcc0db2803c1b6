"""A text as parallel streams, read window by window (truncated backpropagation through time)."""

from collections.abc import Iterator

import numpy as np

from captioner.errors import CaptionerError
from captioner.text import CharacterVocabulary

WARM_UP = 512
"""Characters that a stream of `validation_windows` reads before its own: about as far back as the state remembers."""

STREAMS = 64
"""Streams that `validation_windows` reads side by side, if the text is long enough."""


def shifted(targets: np.ndarray) -> np.ndarray:
    """Return the inputs for predicting `targets` (..., N): the start token, then all but the last."""
    start = np.full_like(targets[..., :1], CharacterVocabulary.start)
    return np.concatenate([start, targets[..., :-1]], axis=-1)


class TextWindows:
    """B contiguous parts of a text, side by side; each window continues where the one before it ended.

    Args:
        tokens: the text (N,).
        batch_size: streams (B).
        sequence_length: characters of a window (T).

    Attributes:
        ngram_probabilities: targets beside the characters that came, as `ngram_targets` makes them, (N, V); None for
            none.

    Raises:
        CaptionerError: the text is too short for one window.
    """

    def __init__(self, tokens: np.ndarray, batch_size: int, sequence_length: int) -> None:
        self.tokens = tokens
        self.ngram_probabilities: np.ndarray | None = None
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

    def epoch(self, seed: int, epoch: int) -> Iterator[dict[str, np.ndarray]]:
        """Yield the windows in order: `inputs` and `targets`, int32 (B, T) each.

        Where there are `ngram_probabilities`, a window has those of its targets, float32 (B, T, V).

        The text seldom divides evenly. Where the streams begin depends on `seed` and `epoch` alone, so that over the
        epochs every character has its turn, and windows fall differently.
        """
        length = self.windows * self.sequence_length
        spare = len(self.tokens) - self.batch_size * length
        offset = int(np.random.default_rng([seed, epoch]).integers(spare + 1))
        read = slice(offset, offset + self.batch_size * length)
        targets = self.tokens[read].reshape(self.batch_size, length)
        inputs = shifted(targets)
        windows = _windows(inputs.astype(np.int32), targets.astype(np.int32), self.sequence_length)
        if self.ngram_probabilities is None:
            yield from windows
            return
        ngrams = self.ngram_probabilities[read].reshape(self.batch_size, length, -1)  # (B, N/B, V)
        for number, window in enumerate(windows):
            begin = number * self.sequence_length
            own = ngrams[:, begin : begin + self.sequence_length]
            yield {**window, "ngram_probabilities": own.astype(np.float32)}


def validation_windows(tokens: np.ndarray, sequence_length: int) -> Iterator[dict[str, np.ndarray]]:
    """Yield windows from which the mean loss of a text (N,) is estimated quickly, by streams read side by side.

    The text is cut into up to STREAMS parts, and each is read from WARM_UP characters before it on, so that its state
    is nearly that of a reader of the whole text. What is read to warm up has -1 as target, and is not counted. A short
    text is one stream, and its loss is exact.
    """
    streams = min(STREAMS, len(tokens) // (4 * WARM_UP)) or 1
    warm_up = WARM_UP if streams > 1 else 0
    part = -(-(len(tokens) - warm_up) // streams)
    windows = -(-(part + warm_up) // sequence_length)
    inputs = np.zeros((streams, windows * sequence_length), np.int32)
    targets = np.full(inputs.shape, -1, np.int32)
    whole = shifted(tokens)
    for stream in range(streams):
        begin = stream * part  # the first stream counts what the others read to warm up
        end = min(begin + warm_up + part, len(tokens))
        counted = begin + (warm_up if stream else 0)
        inputs[stream, : end - begin] = whole[begin:end]
        targets[stream, counted - begin : end - begin] = tokens[counted:end]
    yield from _windows(inputs, targets, sequence_length)


def _windows(inputs: np.ndarray, targets: np.ndarray, sequence_length: int) -> Iterator[dict[str, np.ndarray]]:
    for first in range(0, inputs.shape[1], sequence_length):
        window = slice(first, first + sequence_length)
        yield {"inputs": inputs[:, window], "targets": targets[:, window]}

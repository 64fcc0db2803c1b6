"""Captions as words: how a sentence is normalised, and which number stands for which word."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from captioner.errors import CaptionerError
from captioner.files import read_json, write_json

PAD, START, END, UNKNOWN = "<pad>", "<start>", "<end>", "<unk>"
SPECIAL_TOKENS = (PAD, START, END, UNKNOWN)


def normalise(caption: str) -> list[str]:
    """Split a caption into lower-case words as the standard scorer does: Penn Treebank tokens, punctuation dropped.

    "A dog's ball, isn't it?" gives `a dog 's ball is n't it`. Tokens without a letter or a digit are dropped.
    """
    caption = unicodedata.normalize("NFC", caption).replace("\u2019", "'").lower()
    # The Treebank rules split a full stop off the end of the text alone, but a caption may hold two sentences.
    caption = caption.replace(". ", " . ")
    return [word for word in _treebank().tokenize(caption) if any(character.isalnum() for character in word)]


@cache
def _treebank() -> Any:
    from nltk.tokenize.treebank import TreebankWordTokenizer  # 0.5 s, and prediction has no use for it

    return TreebankWordTokenizer()


class Vocabulary:
    """The words a model knows; a word's number is its place in `tokens`.

    The first four are the special tokens `<pad>` 0, `<start>` 1, `<end>` 2 and `<unk>` 3.

    Args:
        tokens: all tokens in order, the special ones first.

    Raises:
        ValueError: the special tokens are not first, or a token stands twice.
    """

    pad, start, end, unknown = range(4)

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = tuple(tokens)
        if self.tokens[:4] != SPECIAL_TOKENS:
            raise ValueError(f"a vocabulary starts with {' '.join(SPECIAL_TOKENS)}, not {' '.join(self.tokens[:4])}")
        self._number = {token: number for number, token in enumerate(self.tokens)}
        if len(self._number) != len(self.tokens):
            raise ValueError(f"a vocabulary names each token once; {_repeated(self.tokens)!r} stands twice")

    @classmethod
    def build(cls, sentences: Iterable[Sequence[str]], min_count: int = 1) -> "Vocabulary":
        """Make the vocabulary of the words seen at least `min_count` times, the most frequent first."""
        return cls(SPECIAL_TOKENS).extended(sentences, min_count)

    def extended(self, sentences: Iterable[Sequence[str]], min_count: int = 1) -> "Vocabulary":
        """Keep these tokens and their numbers; add the new words seen at least `min_count` times at the end."""
        counts = Counter(word for sentence in sentences for word in sentence)
        new = [word for word, count in counts.items() if count >= min_count and word not in self._number]
        return Vocabulary([*self.tokens, *sorted(new, key=lambda word: (-counts[word], word))])

    def __len__(self) -> int:
        """Count the tokens, the special ones included (V)."""
        return len(self.tokens)

    def encode(self, words: Sequence[str], max_length: int) -> list[int]:
        """Turn words into numbers with `<end>` behind them, at most `max_length` in all.

        A longer sentence is cut and gets no `<end>`, so that a model does not learn to stop in the middle.
        """
        numbers = [self._number.get(word, self.unknown) for word in words]
        return [*numbers, self.end][:max_length]

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """Turn numbers back into words; the special tokens are left out."""
        return [self.tokens[number] for number in numbers if number >= len(SPECIAL_TOKENS)]

    def save(self, path: str | Path) -> None:
        """Write the vocabulary as JSON."""
        write_json(path, {"tokens": self.tokens})

    @classmethod
    def load(cls, path: str | Path) -> "Vocabulary":
        """Read a vocabulary that `save` wrote.

        Raises:
            CaptionerError: the file is missing or holds something else.
        """
        value = read_json(path, "vocabulary")
        tokens = value.get("tokens") if isinstance(value, dict) else None
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise CaptionerError(f'the vocabulary {path} is not {{"tokens": [words]}}; restore it from where it came')
        try:
            return cls(tokens)
        except ValueError as error:
            raise CaptionerError(f"the vocabulary {path} cannot be used: {error}") from error


def _repeated(tokens: Sequence[str]) -> str:
    return next(token for token, count in Counter(tokens).items() if count > 1)

"""Text as numbers: how a caption becomes words, and which number stands for which word or character."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np

from captioner.errors import CaptionerError
from captioner.system.files import read_json, write_json
from captioner.system.printable import HARMFUL

PAD, START, END, UNKNOWN = "<pad>", "<start>", "<end>", "<unk>"
SPECIAL_TOKENS = (PAD, START, END, UNKNOWN)


# Blocks of the scripts that are written without spaces between words, without their digits: Thai and Lao, Burmese,
# Khmer; then Chinese and Japanese: radicals, kana, bopomofo, ideographs.
_SOUTH_EAST = (
    "\u0e00-\u0e4f\u0e5a-\u0ecf\u0eda-\u0eff\u1000-\u103f\u104a-\u108f\u109a-\u109f\ua9e0-\ua9ef\ua9fa-\ua9ff"
    + ("\uaa60-\uaa7f\u1780-\u17df\u17ea-\u17ff")
)
_IDEOGRAPHS = "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u303b\u3041-\u30ff\u3105-\u312f\u31a0-\u31bf" + (
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00016fe0-\U00016fe4\U0001b000-\U0001b16f"
    "\U00020000-\U0003ffff"
)
_UNSPACED = _SOUTH_EAST + _IDEOGRAPHS
_AM = "\u0e33\u0eb3"  # vowels that stand upon the letter before, though Unicode calls them letters
_STACKING = "\u17d2\u1039"  # the next letter goes below the one before
_WORD_SIGNS = "\u104c\u104d\u104e\u104f"  # Burmese words that Unicode calls punctuation

FALSE_SPACES = (
    *(f"([{_UNSPACED}]) ([{_UNSPACED}])",) * 2,  # twice, since a character between two spaces is in one match only
    f"([{_IDEOGRAPHS}]) ([0-9])",
    f"([0-9]) ([{_IDEOGRAPHS}])",
)
"""Regular expressions, for Python and RE2 alike, whose matches are replaced by their two groups, in order."""


def normalise(caption: str) -> list[str]:
    """Split a caption into lower-case words as the standard scorer does: Penn Treebank tokens, punctuation dropped.

    "A dog's ball, isn't it?" gives `a dog 's ball is n't it`. Tokens without a letter or a digit are dropped, and
    so are characters that no vocabulary may hold. Chinese, Japanese, Thai, Lao, Khmer and Burmese have no spaces
    between words: there each character with its marks is a word, which is also how such captions are scored.
    """
    caption = HARMFUL.sub(lambda found: " " if found[0].isspace() else "", caption)
    caption = unicodedata.normalize("NFC", caption).replace("\u2019", "'").lower()
    if not caption.isascii() and _unspaced().search(caption):
        caption = _spaced(caption)
    # The Treebank rules split a full stop off the end of the text alone, but a caption may hold two sentences.
    caption = caption.replace(". ", " . ")
    return [word for word in _treebank().tokenize(caption) if any(map(_is_spoken, word))]


def join_words(words: Iterable[str]) -> str:
    """Join words to a caption: with spaces, except in scripts that have none, such as Chinese and Thai."""
    text = " ".join(words)
    if text.isascii() or not _unspaced().search(text):
        return text
    for pattern in FALSE_SPACES:
        text = re.sub(pattern, r"\1\2", text)
    return text


def is_unspaced(word: str) -> bool:
    """Return whether a word is of a script without spaces, and so a single character."""
    return not word.isascii() and _unspaced().match(word) is not None


def _is_spoken(character: str) -> bool:
    return character.isalnum() or character in _WORD_SIGNS


@cache
def _unspaced() -> re.Pattern[str]:
    return re.compile(f"[{_UNSPACED}\uff61-\uff9f]")  # with the half-width kana, which `_spaced` makes full


def _spaced(caption: str) -> str:
    """Put spaces around every character of such scripts, marks included, and around punctuation beyond ASCII."""
    # Full-width letters, digits and punctuation stand for ASCII ones, half-width kana for full ones.
    caption = re.sub(
        "[\u3000\uff01-\uff9f]+", lambda wide: unicodedata.normalize("NFKC", wide.group()), caption
    ).lower()
    caption = re.sub("[\u200c\u200d\u2060\ufe00-\ufe0f\ufeff\U000e0100-\U000e01ef]", "", caption)  # seen by nobody
    pieces = []
    belongs = _unspaced().match
    follows = stacks = False
    for character in caption:
        category = unicodedata.category(character)
        unspaced = category[0] in "LN" and belongs(character) is not None
        if follows and (category[0] == "M" or character in _AM or (stacks and unspaced)):
            pieces.append(character)
        elif unspaced or character in _WORD_SIGNS:
            pieces.append(f" {character}")
            follows = True
        elif character == "\u200b" or (category[0] in "PS" and not character.isascii()):
            pieces.append(f" {character} ".replace("\u200b", ""))
            follows = False
        else:
            pieces.append(f" {character}" if follows else character)
            follows = False
        stacks = character in _STACKING
    return "".join(pieces)


@cache
def _treebank() -> Any:
    from nltk.tokenize.treebank import TreebankWordTokenizer  # 0.5 s, and prediction has no use for it

    return TreebankWordTokenizer()


class _Tokens:
    """The tokens of a vocabulary, whose numbers are their places; saved as JSON."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = tuple(tokens)

    def __len__(self) -> int:
        """Count the tokens, the special ones included (V)."""
        return len(self.tokens)

    def save(self, path: str | Path) -> None:
        """Write the vocabulary as JSON."""
        write_json(path, {"tokens": self.tokens})

    @classmethod
    def load(cls, path: str | Path) -> Self:
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


class Vocabulary(_Tokens):
    """The words a model knows; a word's number is its place in `tokens`.

    The first four are the special tokens `<pad>` 0, `<start>` 1, `<end>` 2 and `<unk>` 3.

    Args:
        tokens: all tokens in order, the special ones first.

    Raises:
        ValueError: the special tokens are not first, a token stands twice, or one would not stay in its line.
    """

    pad, start, end, unknown = range(4)

    def __init__(self, tokens: Sequence[str]) -> None:
        super().__init__(tokens)
        if self.tokens[:4] != SPECIAL_TOKENS:
            raise ValueError(f"a vocabulary starts with {' '.join(SPECIAL_TOKENS)}, not {' '.join(self.tokens[:4])}")
        self._number = {token: number for number, token in enumerate(self.tokens)}
        if len(self._number) != len(self.tokens):
            raise ValueError(f"a vocabulary names each token once; {_repeated(self.tokens)!r} stands twice")
        if HARMFUL.search("".join(self.tokens)):
            harmful = next(token for token in self.tokens if HARMFUL.search(token))
            raise ValueError(f"the word {harmful!a} holds control characters, which would reach the terminal")

    @classmethod
    def build(cls, sentences: Iterable[Sequence[str]], min_count: int = 1) -> "Vocabulary":
        """Make the vocabulary of the words seen at least `min_count` times, the most frequent first."""
        return cls(SPECIAL_TOKENS).extended(sentences, min_count)

    def extended(self, sentences: Iterable[Sequence[str]], min_count: int = 1) -> "Vocabulary":
        """Keep these tokens and their numbers; add the new words seen at least `min_count` times at the end."""
        counts = Counter(word for sentence in sentences for word in sentence)
        new = [word for word, count in counts.items() if count >= min_count and word not in self._number]
        return Vocabulary([*self.tokens, *sorted(new, key=lambda word: (-counts[word], word))])

    def encode(self, words: Sequence[str], max_length: int) -> list[int]:
        """Turn words into numbers with `<end>` behind them, at most `max_length` in all.

        A longer sentence is cut and gets no `<end>`, so that a model does not learn to stop in the middle.
        """
        numbers = [self._number.get(word, self.unknown) for word in words]
        return [*numbers, self.end][:max_length]

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """Turn numbers back into words; the special tokens are left out."""
        return [self.tokens[number] for number in numbers if number >= len(SPECIAL_TOKENS)]


CHARACTER_SPECIAL_TOKENS = (START, UNKNOWN)


class CharacterVocabulary(_Tokens):
    """The characters a language model knows; a character's number is its place in `tokens`.

    The first two are `<start>` 0, which stands before a text and makes its first character predictable, and `<unk>` 1,
    any other character.

    Args:
        tokens: the two special tokens, then all characters, one code point each.

    Raises:
        ValueError: the special tokens are not first, a token is no single character, or one stands twice.
    """

    start, unknown = range(2)

    def __init__(self, tokens: Sequence[str]) -> None:
        super().__init__(tokens)
        if self.tokens[:2] != CHARACTER_SPECIAL_TOKENS:
            raise ValueError(f"a vocabulary of characters starts with {' '.join(CHARACTER_SPECIAL_TOKENS)}")
        characters = self.tokens[2:]
        for token in characters:
            if len(token) != 1:
                raise ValueError(f"each token is one character, {token!r} is not")
        if len(set(characters)) != len(characters):
            raise ValueError(f"a vocabulary names each token once; {_repeated(characters)!r} stands twice")
        points = np.array([ord(character) for character in characters], np.int64)
        # Numbers by code point; the last entry is for every code point beyond the table.
        self._number = np.full(points.max(initial=0) + 2, self.unknown, np.min_scalar_type(len(self.tokens)))
        self._number[points] = np.arange(2, len(self.tokens))

    @classmethod
    def build(cls, text: str) -> "CharacterVocabulary":
        """Make the vocabulary of the characters in `text`, by code point."""
        return cls([*CHARACTER_SPECIAL_TOKENS, *sorted(set(text))])

    def encode(self, text: str) -> np.ndarray:
        """Turn N characters into their numbers (N,), in the smallest unsigned type that holds V."""
        numbers = np.empty(len(text), self._number.dtype)
        for first in range(0, len(text), ENCODED_AT_ONCE):
            some = text[first : first + ENCODED_AT_ONCE].encode("utf-32-le", errors="surrogatepass")
            points = np.minimum(np.frombuffer(some, "<u4"), len(self._number) - 1)
            numbers[first : first + ENCODED_AT_ONCE] = self._number[points]
        return numbers

    def decode(self, numbers: Iterable[int]) -> str:
        """Turn numbers back into characters; the special tokens are left out."""
        return "".join(self.tokens[number] for number in numbers if number >= len(CHARACTER_SPECIAL_TOKENS))

    def unknown_in(self, text: str) -> list[str]:
        """Name the characters of `text` that are not in the vocabulary, each once, in the order of the text."""
        return [character for character in dict.fromkeys(text) if self.encode(character)[0] == self.unknown]


ENCODED_AT_ONCE = 1 << 20
"""Characters that are encoded together: a whole text in UTF-32 would take four times the memory of its file."""


def _repeated(tokens: Sequence[str]) -> str:
    return next(token for token, count in Counter(tokens).items() if count > 1)

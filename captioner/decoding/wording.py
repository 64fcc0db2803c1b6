"""The words that captions must begin with and must not have, as tokens of a vocabulary."""

from collections.abc import Sequence

from captioner.config.decoding import WordingConfig
from captioner.decoding.step import SpecialTokens
from captioner.errors import CaptionerError
from captioner.text import Vocabulary, normalise

BANNED = (Vocabulary.pad, Vocabulary.start, Vocabulary.unknown)
"""Tokens that no caption may hold."""

SPECIAL = SpecialTokens(Vocabulary.start, Vocabulary.end, BANNED)


def worded(vocabulary: Vocabulary, wording: WordingConfig, max_length: int) -> tuple[SpecialTokens, list[str]]:
    """Return the tokens that a search treats unlike others, and the excluded words that the model does not know.

    Words are read as those of captions in training: in lower case, "dog's" as "dog" and "'s".

    Args:
        vocabulary: the model's words.
        wording: what was asked for.
        max_length: the most tokens of a caption, its end counted.

    Raises:
        CaptionerError: `begin` has a word that the model does not know or that is excluded, or is too long; or an
            excluded word is none, or several.
    """
    if wording == WordingConfig():  # to split text takes half a second, the first time
        return SPECIAL, []
    begin = normalise(wording.begin)
    known = set(vocabulary.tokens)
    if unknown := [word for word in dict.fromkeys(begin) if word not in known]:
        raise CaptionerError(f"begin: the model does not know {_quoted(unknown)}; begin with other words")
    if wording.begin.strip() and not begin:
        raise CaptionerError(f"begin: expected words, found {wording.begin[:40]!r}")
    if len(begin) >= max_length:
        raise CaptionerError(
            f"begin: expected fewer words than the longest caption may have, which are {max_length} with its end, "
            f"found {len(begin)}"
        )
    excluded = [_one_word(each) for each in wording.exclude]
    if both := [word for word in dict.fromkeys(begin) if word in excluded]:
        raise CaptionerError(f"exclude: {_quoted(both)} stands in begin too; leave it out of one of them")
    numbers = vocabulary.encode([word for word in dict.fromkeys(excluded) if word in known], len(known))[:-1]
    special = SPECIAL._replace(
        banned=(*BANNED, *numbers), begin=tuple(vocabulary.encode(begin, len(begin))) if begin else ()
    )
    return special, [word for word in dict.fromkeys(excluded) if word not in known]


def _one_word(text: str) -> str:
    words = normalise(text)
    if len(words) != 1:
        problem = f"is {len(words)} words to the model: {_quoted(words)}" if words else "is no word"
        raise CaptionerError(f"exclude: {text[:40]!r} {problem}; name single words")
    return words[0]


def _quoted(words: Sequence[str]) -> str:
    return ", ".join(map(repr, words))

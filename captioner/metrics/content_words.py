"""The share of a caption's content words that a reference has too."""

from collections.abc import Sequence

_WORDS = (
    "a an the this that these those some any each every all both another other others one ones i you he she it we "
    "they me him her us them his hers its our their my your himself herself itself themselves and or but nor so as "
    "than then while who which whose what where when there here of in on at by for with without to from into onto "
    "out off up down over under above below between among through across along around behind beside near against "
    "toward towards about after before during inside outside upon is are was were be been being am has have had "
    "having do does did doing can could will would may might must shall should not no very just also too own same "
    "such front "
)

FUNCTION_WORDS = frozenset(_WORDS.split())
"""English words that hold a sentence together and name nothing in a photo; of "front", "in front of". Numbers are not
among them."""


def content_words(words: Sequence[str]) -> list[str]:
    """Return the words of a caption that name something, in order and each as often as it is said."""
    return [word for word in words if word not in FUNCTION_WORDS]


def share_confirmed(words: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Return the share of a caption's content words that at least one reference has, from 0 to 1.

    A caption without content words says nothing that could be wrong, and nothing that could be right: 0.

    Args:
        words: the caption.
        references: what people said of the photo.
    """
    said = {word for each in references for word in each}
    named = content_words(words)
    return sum(word in said for word in named) / len(named) if named else 0.0

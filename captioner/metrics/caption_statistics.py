"""Properties of captions besides their scores: variety, originality, and unfounded words."""

from collections.abc import Sequence, Set


def _group(words: str) -> frozenset[str]:
    return frozenset(words.split())


COLOURS = _group("black white red blue green yellow orange pink purple brown gray grey tan blond blonde golden silver")
NUMBERS = _group("two three four five six seven eight nine ten")
MALE = _group("man men boy boys male males guy guys gentleman he his him himself")
FEMALE = _group("woman women girl girls female females lady ladies she her herself")

Captions = Sequence[Sequence[str]]


def caption_statistics(captions: Captions, references: Sequence[Captions], training: Captions) -> dict[str, float]:
    """Describe a set of captions.

    Args:
        captions: one a photo, as words.
        references: what people said of each photo.
        training: all that the model was trained on.

    Returns:
        `distinct_words`, how many words are used at all; `mean_length`, words a caption; and in per cent of the
        captions: `copied`, those that stand in `training` word for word; how many `name_any` of the English words that
        follow; in per cent of the captions that name any:
        `groundless_colours` and `groundless_numbers`, those with one that nobody said; and `wrong_gender`, of those
        that tell male from female, where people only said the other.
    """
    known = {tuple(words) for words in training}
    generated = [frozenset(words) for words in captions]
    referenced = [frozenset(word for words in each for word in words) for each in references]
    return {
        "distinct_words": len(frozenset[str]().union(*generated)),
        "mean_length": sum(map(len, captions)) / len(captions),
        "copied": _per_cent([tuple(words) in known for words in captions]),
        "name_any": sum(bool(words & (COLOURS | NUMBERS | MALE | FEMALE)) for words in generated),
        "groundless_colours": _groundless(generated, referenced, COLOURS),
        "groundless_numbers": _groundless(generated, referenced, NUMBERS),
        "wrong_gender": _per_cent(
            [
                bool(words & other and not words & own)
                for ours, words in zip(generated, referenced, strict=True)
                for own, other in ((MALE, FEMALE), (FEMALE, MALE))
                if ours & own and not ours & other
            ]
        ),
    }


def _groundless(generated: Sequence[Set[str]], referenced: Sequence[Set[str]], group: Set[str]) -> float:
    pairs = zip(generated, referenced, strict=True)
    return _per_cent([not ours & group <= words for ours, words in pairs if ours & group])


def _per_cent(found: Sequence[bool]) -> float:
    return 100 * sum(found) / len(found) if found else 0.0

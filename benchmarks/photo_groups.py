"""Groups of photos by what people said of them, and how well captions do in each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from word_kinds import References, people_using

from captioner.metrics.cider import CiderD, count_documents

SAMPLES = 2000
"""Bootstrap samples of an interval."""

RARE, TOGETHER = 20, 2
"""A word is rare if fewer training photos have it; it counts for a photo that at least so many people use it of."""

MOST_PEOPLE = 3
"""A photo is of a kind if at least so many of five people use a word of it: most of them."""

KINDS: Mapping[str, frozenset[str]] = {
    name: frozenset(words.split())
    for name, words in {
        "dogs": "dog dogs puppy puppies",
        "children": "child children kid kids boy boys girl girls baby babies toddler toddlers",
        "grown-up people": "man men woman women lady ladies guy guys couple adult adults",
        "ball games": "ball football soccer basketball baseball tennis volleyball rugby hockey",
        "wheels": "bike bikes bicycle bicycles biker bicyclist cyclist bmx motorcycle motorcyclist skateboard "
        "skateboarder skateboarding scooter",
        "water": "water ocean sea lake river pool pond beach shore wave waves surf surfer surfing surfboard swimming "
        "swims swim boat canoe kayak fountain",
        "snow": "snow snowy ski skis skier skiing skiers snowboard snowboarder snowboarding sled sledding",
        "grass and fields": "grass grassy field lawn park",
        "rocks and mountains": "rock rocks rocky cliff mountain mountains climbing climbs climber",
        "street and city": "street city sidewalk road building buildings store shop traffic urban",
        "indoors": "room table bed couch sofa kitchen floor restaurant indoors bar stage gym",
    }.items()
}
"""Kinds of photos by the words that people use of them."""

OTHER = "none of these"


@dataclass(frozen=True)
class Part:
    """How captions do in a group of photos.

    Attributes:
        photos: how many.
        score: the mean of their CIDEr-D x 100.
        low: and its 95% interval, by bootstrap over the photos of the group.
        high: its upper end.
    """

    photos: int
    score: float
    low: float
    high: float


def part(scores: np.ndarray) -> Part:
    """Describe the CIDEr-D (N,) of a group."""
    low, high = interval(scores)
    return Part(len(scores), 100 * float(scores.mean()), low, high)


def interval(scores: np.ndarray) -> tuple[float, float]:
    """Return the 95% interval of the mean of scores (N,) x 100, by bootstrap."""
    rng = np.random.default_rng(0)
    means = scores[rng.integers(len(scores), size=(SAMPLES, len(scores)))].mean(axis=1)
    low, high = 100 * np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def difference(scores: np.ndarray, others: np.ndarray) -> tuple[float, float, float]:
    """Return the difference of the means of two groups (N,), (M,) x 100, and its 95% interval by bootstrap."""
    rng = np.random.default_rng(0)
    one, other = (each[rng.integers(len(each), size=(SAMPLES, len(each)))].mean(axis=1) for each in (scores, others))
    low, high = 100 * np.percentile(one - other, (2.5, 97.5))
    return 100 * float(scores.mean() - others.mean()), float(low), float(high)


def with_rare_words(references: References, training: References) -> tuple[np.ndarray, list[set[str]]]:
    """Return which photos (N,) have a word that two people use and few training photos have, and these words."""
    photos = Counter(word for captions in training for word in people_using(captions))
    rare = [
        {word for word, people in people_using(captions).items() if people >= TOGETHER and photos[word] < RARE}
        for captions in references
    ]
    return np.array([bool(words) for words in rare]), rare


def kinds_of(references: References) -> dict[str, np.ndarray]:
    """Return for each kind which photos (N,) are of it; a photo may be of several, and of none is the last kind."""
    found = {
        name: np.array([sum(bool(words & set(each)) for each in captions) >= MOST_PEOPLE for captions in references])
        for name, words in KINDS.items()
    }
    return {**found, OTHER: ~np.any(list(found.values()), axis=0)}


def agreement(references: References) -> np.ndarray:
    """Return how far people agree (N,): the mean CIDEr-D of each person's caption against the others' of the photo."""
    documents = count_documents(references)
    scores = [
        CiderD([[*each[:number], *each[number + 1 :]] for each in references], documents).scores(
            [each[number] for each in references]
        )
        for number in range(len(references[0]))
    ]
    return np.mean(scores, axis=0)


def quarters(values: np.ndarray) -> list[np.ndarray]:
    """Return the photos of the lowest, second, third and highest quarter of values (N,), by their numbers."""
    return np.array_split(np.argsort(values, kind="stable"), 4)


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return Spearman's rank correlation of values (N,), ties ranked in the order of the photos."""
    first, second = (np.argsort(np.argsort(each, kind="stable"), kind="stable") for each in (one, other))
    return float(np.corrcoef(first, second)[0, 1])


def repeated(captions: Sequence[Sequence[str]]) -> int:
    """Return how many captions another photo has, too."""
    counts = Counter(map(tuple, captions))
    return sum(count for count in counts.values() if count > 1)

"""A split of a data set as training and scoring read it: features, and captions as words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from captioner.config import EncoderConfig
from captioner.data.dataset import CaptionDataset
from captioner.data.feature_parts import FeatureParts
from captioner.errors import CaptionerError
from captioner.text import Vocabulary
from captioner.training.captions import read_captions
from captioner.training.features import extract_features, find_features


@dataclass(frozen=True)
class Split:
    """The photos of a split as a training reads them.

    Attributes:
        features: float16 (N, L, D), an array or what gives rows as one does, a row for each view of a photo; those that
            cannot be used may have rows too.
        rows: the first rows of the photos that can (M,).
        captions: of each photo, its captions as lists of words.
        names: file names, for samples.
        views: rows of a photo (V), the first of the whole photo.
        source: names what the features were made of, where they come from the cache.
    """

    features: np.ndarray | FeatureParts
    rows: Sequence[int]
    captions: Sequence[Sequence[Sequence[str]]]
    names: Sequence[str]
    views: int = 1
    source: str = ""


def encode_captions(
    captions: Sequence[Sequence[Sequence[str]]], vocabulary: Vocabulary, max_length: int
) -> list[list[list[int]]]:
    """Return the captions of each photo as `Vocabulary.encode` gives them."""
    return [[vocabulary.encode(words, max_length) for words in each] for each in captions]


def read_split(
    dataset: CaptionDataset,
    name: str,
    encoder: keras.Model,
    config: EncoderConfig,
    report: Callable[[str], None],
    views: int = 1,
    parts: FeatureParts | None = None,
) -> Split:
    """Read captions of a split, and photos in so many views; photos that cannot be used are reported and left out.

    Where `parts` are given, the features are taken from there.

    Raises:
        CaptionerError: none can be used.
    """
    examples = dataset.split(name)
    photos = [example.image for example in examples]
    if parts is None:
        found = extract_features(photos, encoder, config.feature_layer, views)
    else:
        found = find_features(photos, parts, encoder)
    reasons = list(found.bad.values())
    for reason in reasons[:5]:
        report(f"left out: {reason}")
    if len(reasons) > 5:
        report(f"left out: {len(reasons) - 5} more photos that cannot be read")
    kept = []
    for number, (example, captions) in enumerate(zip(examples, read_captions(examples, report), strict=True)):
        if number not in found.bad and captions:
            kept.append((found.rows[number], captions, example.image.name))
    if not kept:
        raise CaptionerError(f"no photo of the {name} split can be used; look at the reasons above")
    rows, sentences, names = zip(*kept, strict=True)
    return Split(found.array, rows, sentences, names, views, found.source)

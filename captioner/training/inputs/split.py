"""A split of a data set as training and scoring read it: features, and captions as words and as tokens."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from captioner.config.decoding import DecodingConfig
from captioner.config.model import EncoderConfig
from captioner.data.dataset import CaptionDataset, Example
from captioner.data.feature_parts import FeatureParts
from captioner.errors import CaptionerError
from captioner.text import Vocabulary
from captioner.training.inputs.captions import log_cut_captions, read_captions
from captioner.training.inputs.features import extract_features, find_features, read_pixels
from captioner.training.inputs.row_cache import PhotoRows

SHOWN_REASONS = 5
"""Photos that cannot be used, of which the log gives the reason."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Split:
    """The photos of a split as a stage reads them.

    Attributes:
        features: (N, ...), an array or what gives rows as one does, a row for each view of a photo: features float16
            (L, D), the grid of frozen layers float16 (L', D'), or pixels uint8 (S, S, 3). Photos that cannot be used
            may have rows too.
        rows: the first row of each photo that can be used (M,).
        captions: of each of these photos, its captions as lists of words.
        names: their file names, for samples.
        views: rows of a photo (V), the first of the whole photo.
        source: names what the features were made of, where they come from the cache.
        tokens: the captions as `Vocabulary.encode` gives them; empty until `encoded` was called.
    """

    features: Any
    rows: np.ndarray
    captions: Sequence[Sequence[Sequence[str]]]
    names: Sequence[str]
    views: int = 1
    source: str = ""
    tokens: Sequence[Sequence[Sequence[int]]] = ()

    def encoded(self, vocabulary: Vocabulary, max_length: int) -> "Split":
        """Return this split with its captions as tokens, cut at `max_length` of them."""
        tokens = [[vocabulary.encode(words, max_length) for words in each] for each in self.captions]
        return replace(self, tokens=tokens)

    def sentences(self) -> list[Sequence[str]]:
        """Return the captions of all photos in one list."""
        return [words for captions in self.captions for words in captions]


def read_split(
    dataset: CaptionDataset,
    name: str,
    encoder: keras.Model,
    config: EncoderConfig,
    views: int = 1,
    parts: FeatureParts | None = None,
) -> Split:
    """Read the captions of a split, and the features of its photos in `views` views, or from `parts`.

    Photos that cannot be used are left out and logged.

    Raises:
        CaptionerError: none can be used.
    """
    examples = dataset.split(name)
    photos = [example.image for example in examples]
    if parts is None:
        found = extract_features(photos, encoder, config.feature_layer, views)
    else:
        found = find_features(photos, parts, encoder)
    return _usable(examples, name, found, views)


def read_pixel_split(dataset: CaptionDataset, name: str, size: int) -> Split:
    """Read the captions of a split, and its photos as pixels uint8 (size, size, 3).

    Photos that cannot be used are left out and logged.

    Raises:
        CaptionerError: none can be used.
    """
    examples = dataset.split(name)
    return _usable(examples, name, read_pixels([example.image for example in examples], size), 1)


def _usable(examples: Sequence[Example], name: str, found: PhotoRows, views: int) -> Split:
    """Return the split of the photos that have rows and captions."""
    reasons = list(found.bad.values())
    for reason in reasons[:SHOWN_REASONS]:
        log.warning("left out: %s", reason)
    if len(reasons) > SHOWN_REASONS:
        log.warning("left out: %d more photos that cannot be read", len(reasons) - SHOWN_REASONS)
    if notes := sorted(set(found.notes)):
        many = "1 photo was" if len(notes) == 1 else f"{len(notes)} photos were"
        log.warning("%s used despite a fault, such as %s", many, notes[0])
    kept = [
        (found.rows[number], captions, example.image.name)
        for number, (example, captions) in enumerate(zip(examples, read_captions(examples), strict=True))
        if number not in found.bad and captions
    ]
    if not kept:
        raise CaptionerError(f"no photo of the {name} split can be used; look at the reasons above")
    rows, captions, names = zip(*kept, strict=True)
    return Split(found.array, np.asarray(rows), captions, names, views, found.source)


def log_data(train: Split, dev: Split, vocabulary: Vocabulary, decoding: DecodingConfig) -> None:
    """Log how much there is to learn from, and how many captions are cut."""
    sentences = train.sentences()
    log_cut_captions(sentences, decoding.max_length)
    log.info(
        "%d photos and %d captions to train on, %d photos to score on, %d words",
        *(len(train.rows), len(sentences), len(dev.rows), len(vocabulary)),
    )

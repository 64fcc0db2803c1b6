"""Make of the training photos and their captions what `captioner.data.neighbours` reads."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from captioner.config import ConsensusConfig
from captioner.data.model_directory import CaptionerDirectory
from captioner.data.neighbours import WHOLE, Neighbours, ngram_keys
from captioner.decoding.consensus import agreements, by_consensus, chosen
from captioner.decoding.hypothesis import Hypothesis
from captioner.metrics.bleu import bleu_counts, bleu_of
from captioner.metrics.cider import CiderD, DocumentFrequency, Ngram, count_documents, ngrams_of
from captioner.text import Vocabulary

if TYPE_CHECKING:
    from captioner.training.split import Split

NEIGHBOURS, SHARPNESS = 20, 15.0

WEIGHTS = (0.0, 4.0, 8.0, 16.0, 24.0)
"""Those tried on dev."""

Words = Sequence[str]


def make_neighbours(captions: Sequence[Sequence[Words]], projected: np.ndarray, known_words: set[str]) -> Neighbours:
    """Describe training photos by where they lie, and by the n-grams that people used.

    Args:
        captions: of each of N photos, as words.
        projected: the photos along the principal directions (N, R).
        known_words: those that the model can say; n-grams with others are left out.
    """
    documents = count_documents(captions)
    found = [_weights(each, documents, known_words) for each in captions]
    common = {ngram for ngram, count in documents.counts.items() if count > 1 and known_words.issuperset(ngram)}
    idf = _idf(sorted(common), documents)
    starts = np.cumsum([0, *(len(keys) for keys, _ in found)])
    config = ConsensusConfig(0.0, NEIGHBOURS, SHARPNESS, len(captions), int(starts[-1]), len(idf[0]))
    largest = np.abs(projected).max(axis=1, keepdims=True)
    arrays = {
        "photos": np.round(projected / np.maximum(largest, 1e-6) * 127).astype(np.int8),
        "starts": starts.astype(np.uint32),
        "ngrams": np.concatenate([keys for keys, _ in found]),
        "weights": np.concatenate([weights for _, weights in found]),
        "common": idf[0],
        "idf": idf[1],
    }
    return Neighbours(config, arrays)


def _idf(ngrams: Sequence[Ngram], documents: DocumentFrequency) -> tuple[np.ndarray, np.ndarray]:
    """Return the keys of n-grams, rising, and their idf."""
    values = np.array([math.log(documents.images / documents.counts[ngram]) for ngram in ngrams], np.float32)
    keys, first = np.unique(ngram_keys(ngrams), return_index=True)
    return keys, values[first]


def _weights(
    captions: Sequence[Words], documents: DocumentFrequency, known_words: set[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the keys of a photo's n-grams, rising, and the means of their TF-IDF, normalised per caption and order."""
    total: defaultdict[Ngram, float] = defaultdict(float)
    for words in captions:
        for ngrams in ngrams_of(words):
            tfidf = {
                ngram: count * math.log(documents.images / max(1, documents.counts[ngram]))
                for ngram, count in Counter(ngrams).items()
            }
            norm = math.sqrt(sum(value * value for value in tfidf.values()))
            for ngram, value in tfidf.items():
                if norm and known_words.issuperset(ngram):
                    total[ngram] += value / norm / len(captions)
    keys, places = np.unique(ngram_keys(total), return_inverse=True)
    values = np.bincount(places, list(total.values()), len(keys))
    return keys, np.clip(np.round(values * WHOLE), 1, WHOLE).astype(np.uint8)


def choose_weight(
    neighbours: Neighbours,
    beams: Sequence[Sequence[Hypothesis]],
    projected: np.ndarray,
    vocabulary: Vocabulary,
    references: Sequence[Sequence[Words]],
) -> float:
    """Return the weight of the agreement with which CIDEr-D + BLEU-4 of dev is best; 0 where none gains.

    Args:
        neighbours: with any weight.
        beams: what the search found for each of N dev photos.
        projected: the dev photos along the principal directions (N, R).
        vocabulary: the words behind the tokens.
        references: what people said of them.
    """
    captions = [[vocabulary.decode(each.tokens) for each in beam] for beam in beams]
    near = neighbours.near(projected)
    found = [agreements(*each, neighbours) for each in zip(captions, near, strict=True)]
    cider = CiderD(references)
    values = {}
    for weight in WEIGHTS:
        best = [by_consensus(*each, weight)[0] for each in zip(beams, found, strict=True)]
        said = [vocabulary.decode(each.tokens) for each in best]
        bleu = bleu_of([bleu_counts(*each) for each in zip(said, references, strict=True)])[3]
        values[weight] = float(np.mean(cider.scores(said))) + bleu
    return max(WEIGHTS, key=lambda weight: (values[weight], -weight))


def with_neighbours(
    directory: Path, vocabulary: Vocabulary, beams: Sequence[Sequence[Hypothesis]], split: "Split"
) -> list[list[str]] | None:
    """Return the captions of a split that are chosen by consensus; None where the model in `directory` chooses so none.

    Args:
        directory: of the model.
        vocabulary: the words behind the tokens.
        beams: what the search found for each photo of the split.
        split: with the features of the photos.

    Raises:
        CaptionerError: the model's files are damaged.
    """
    model = CaptionerDirectory.read(directory, quiet=True)
    neighbours, calibration = model.neighbours(), model.calibration()
    if neighbours is None or calibration is None:
        return None
    captions = []
    for row, beam in zip(split.rows, beams, strict=True):
        (near,) = neighbours.near(calibration.projected(np.asarray(split.features[row])[None]))
        captions.append(vocabulary.decode(chosen(beam, near, neighbours, vocabulary)[0].tokens))
    return captions

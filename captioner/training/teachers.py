"""Trained models say together what the next word of each caption may be, for a pupil to learn from."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from captioner.ahead import ahead
from captioner.config import EncoderConfig
from captioner.data.model_files import read_config
from captioner.data.store import FeatureStore
from captioner.errors import CaptionerError
from captioner.files import cache_directory
from captioner.models.encoder import last_layers, weights_fingerprint
from captioner.models.networks import load_networks
from captioner.models.tuned_model import TunedModel
from captioner.text import Vocabulary
from captioner.training.batches import longest_first, pack, word_places
from captioner.training.graphs import Graphs
from captioner.training.shards import shards
from captioner.training.split import Split

KEPT = 64
"""Words of which the teachers' probabilities are kept (C); those of all others are given to these in proportion."""

VIEWS_AT_ONCE = 64


def refuse_other_photos(directory: Path, ours: EncoderConfig) -> None:
    """Raise CaptionerError where a model cannot teach a pupil, which has to read the same through the same layers.

    Args:
        directory: of the model.
        ours: the pupil's encoder, with `fine_tune_after`.
    """
    theirs = read_config(directory).encoder
    for name in ("network", "image_size", "fine_tune_after"):
        wanted, found = getattr(ours, name), getattr(theirs, name)
        if wanted != found and (name != "fine_tune_after" or found):  # where nothing was tuned, all is as it was
            flag = "encoder" if name == "network" else name.replace("_", "-")
            raise CaptionerError(
                f"--teacher {directory}: expected a model with --{flag} {wanted}, found {found}; a teacher and its "
                "pupil read the same photos through the same frozen layers"
            )


def load_teacher(
    directory: Path, encoder_weights: str | Path, fine_tune_after: str, vocabulary: Vocabulary
) -> TunedModel:
    """Load a trained model as one that reads what a pupil's frozen layers see.

    Args:
        directory: of a model that `refuse_other_photos` has nothing against.
        encoder_weights: see `load_networks`.
        fine_tune_after: the last of the frozen layers.
        vocabulary: the pupil's words.

    Raises:
        CaptionerError: it cannot be loaded, or has other words than the pupil.
    """
    saved, encoder = load_networks(directory, encoder_weights)
    if saved.vocabulary.tokens != vocabulary.tokens:
        raise CaptionerError(
            f"--teacher {directory}: expected the {len(vocabulary)} words of these captions in the same order, found "
            f"{len(saved.vocabulary)} others; train teachers on the same data with the same --min-count"
        )
    config = replace(saved.config, encoder=replace(saved.config.encoder, fine_tune_after=fine_tune_after))
    return TunedModel.of(config, last_layers(encoder, fine_tune_after), saved.network)


def ask(teachers: Sequence[TunedModel], grids: Split, captions: Sequence[Sequence[Sequence[int]]]) -> np.ndarray:
    """Return the mean of the teachers' probabilities of each next word, in each view of each photo.

    Hinton et al. 2015, section 4. What they said is kept in the cache; killed at any moment, the next call goes on
    where this one stopped.

    Args:
        teachers: what is asked; their vocabularies agree.
        grids: what the frozen layers see of the photos, (N, L', D').
        captions: of each photo, its captions as `Vocabulary.encode` gives them.

    Returns:
        (N, P, C), for each row of the grids and each word of its photo's captions, laid end to end, the C words that
        get most, with `word` and `probability`; the probabilities sum to one. P is the most words that a photo has.

    Raises:
        CaptionerError: the cache cannot be written to.
    """
    vocabulary_size = teachers[0].config.decoder.vocabulary_size
    kept, most = min(KEPT, vocabulary_size), max(sum(map(len, each)) for each in captions)
    about = {
        "grids": grids.source,
        "captions": _digest(captions),
        **{f"teacher {number}": weights_fingerprint(each) for number, each in enumerate(teachers, 1)},
    }
    kind = np.dtype([("word", np.min_scalar_type(vocabulary_size - 1)), ("probability", np.float16)])
    store = FeatureStore(
        cache_directory() / "taught" / _digest(about), (grids.features.shape[0], most, kept), about, kind
    )
    # Photos whose captions are equally long go together: less padding, and fewer graphs.
    order = sorted(range(len(captions)), key=lambda photo: max(map(len, captions[photo])))
    at_once = max(1, VIEWS_AT_ONCE // grids.views)
    lots = [order[at : at + at_once] for at in range(0, len(order), at_once)]
    graphs = Graphs(lambda batch: _mean(teachers, batch, kept))

    def rows_of(photos: Sequence[int]) -> np.ndarray:
        return np.array([grids.rows[photo] + view for photo in photos for view in range(grids.views)])

    def read(photos: Sequence[int]) -> tuple[np.ndarray, dict[str, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        rows = rows_of(photos)
        each = [captions[photo] for photo in photos for _ in range(grids.views)]
        numbers = [longest_first(some, range(len(some))) for some in each]
        inputs, _ = pack([[some[n] for n in own] for some, own in zip(each, numbers, strict=True)], max(map(len, each)))
        return rows, {"features": grids.features[rows], **inputs}, word_places(each, numbers)

    unfinished = [photos for photos in lots if not store.present[rows_of(photos)].all()]
    with tqdm(total=sum(map(len, lots)), unit="photo", desc="ask the teachers", delay=2) as bar:
        bar.update(sum(map(len, lots)) - sum(map(len, unfinished)))
        for rows, inputs, (of_words, places) in ahead(read, unfinished):
            said = np.zeros((len(rows), most, kept), kind)
            said["probability"][of_words, places], said["word"][of_words, places] = (
                each.numpy() for each in graphs.of(inputs)(inputs)
            )
            store.write(rows, said)
            bar.update(len(rows) // grids.views)
    return store.features


def _mean(teachers: Sequence[TunedModel], inputs: dict[str, tf.Tensor], kept: int) -> list[tf.Tensor]:
    """Return the greatest of the mean probabilities (N, C), which sum to one, and whose they are (N, C)."""
    parts = []
    for own, _ in shards(inputs):
        mean = tf.add_n([tf.nn.softmax(teacher(own)) for teacher in teachers]) / len(teachers)  # (N, V)
        probabilities, words = tf.math.top_k(mean, kept)
        parts.append((probabilities / tf.reduce_sum(probabilities, axis=-1, keepdims=True), words))
    return [tf.concat(each, axis=0) for each in zip(*parts, strict=True)]


def _digest(content: Any) -> str:
    return hashlib.blake2b(json.dumps(content).encode(), digest_size=16).hexdigest()

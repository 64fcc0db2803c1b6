"""Trained models' probabilities of the next word of each caption, for a pupil to learn from (Hinton et al. 2015)."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from captioner.config.model import EncoderConfig
from captioner.data.store import FeatureStore
from captioner.errors import CaptionerError
from captioner.model_files.directory import CaptionerDirectory
from captioner.models.encoder import last_layers, weights_fingerprint
from captioner.models.networks import load_networks
from captioner.models.tuned_model import TunedModel
from captioner.system.home import cache_directory
from captioner.text import Vocabulary
from captioner.training.inputs.batches import longest_first, pack, word_places
from captioner.training.inputs.row_cache import RowMaker, fill
from captioner.training.inputs.split import Split
from captioner.training.shards import shards
from captioner.training.step import ShapeGraphs

KEPT = 64
"""Words of which a teacher's probabilities are kept (C); those of all others are given to these in proportion."""

VIEWS_AT_ONCE = 64


def refuse_other_encoder(directory: Path, ours: EncoderConfig) -> None:
    """Raise CaptionerError where a model cannot teach a pupil, which has to read the same through the same layers.

    Args:
        directory: of the model.
        ours: the pupil's encoder, with `fine_tune_after`.
    """
    theirs = CaptionerDirectory.read(directory).config.encoder
    for name in ("network", "image_size", "fine_tune_after"):
        wanted, found = getattr(ours, name), getattr(theirs, name)
        if wanted != found and (name != "fine_tune_after" or found):  # it may have no tuned layers
            flag = "encoder" if name == "network" else name.replace("_", "-")
            raise CaptionerError(
                f"--teacher {directory}: expected a model with --{flag} {wanted}, found {found}; a teacher and its "
                "pupil read the same photos through the same frozen layers"
            )


def load_teacher(
    directory: Path, encoder_weights: str | Path, fine_tune_after: str, vocabulary: Vocabulary
) -> TunedModel:
    """Load a trained model as one that reads the grids of a pupil's frozen layers.

    Args:
        directory: of a model that `refuse_other_encoder` accepts.
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


def likeliest(probabilities: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the likeliest words int32 (N, C), and their probabilities (N, C), scaled to sum to one, of all (N, V)."""
    kept, words = tf.math.top_k(probabilities, min(KEPT, probabilities.shape[-1]))
    return words, kept / tf.reduce_sum(kept, axis=-1, keepdims=True)


def teacher_probabilities(teachers: Sequence[TunedModel], grids: Split) -> FeatureStore:
    """Return the mean of the teachers' probabilities of each next word, in each view of each photo.

    The result is kept in the cache. After an interruption, the next call resumes.

    Args:
        teachers: models with one vocabulary.
        grids: what the frozen layers see of the photos, (N, L', D'), with the captions as tokens.

    Returns:
        (N, P, C), for each row of the grids and each word of its photo's captions, laid end to end, the C likeliest
        words, with `word` and `probability`, which sum to one. P is the most words that a photo has.

    Raises:
        CaptionerError: the cache cannot be written to.
    """
    words = teachers[0].config.decoder.vocabulary_size
    most = max(sum(map(len, each)) for each in grids.tokens)
    about = {
        "grids": grids.source,
        "captions": _digest(grids.tokens),
        **{f"teacher {number}": weights_fingerprint(each) for number, each in enumerate(teachers, 1)},
    }
    kind = np.dtype([("word", np.min_scalar_type(words - 1)), ("probability", np.float16)])
    shape = (grids.features.shape[0], most, min(KEPT, words))
    store = FeatureStore(cache_directory() / "taught" / _digest(about), shape, about, kind)
    # Photos whose captions are equally long go together: less padding, and fewer graphs.
    order = sorted(range(len(grids.tokens)), key=lambda photo: max(map(len, grids.tokens[photo])))
    at_once = max(1, VIEWS_AT_ONCE // grids.views)
    chunks = [
        (np.asarray(grids.rows)[order[at : at + at_once], None] + np.arange(grids.views)).reshape(-1)
        for at in range(0, len(order), at_once)
    ]
    fill(store, chunks, _TeacherMaker(teachers, grids, np.empty(shape[1:], kind)))
    return store


class _TeacherMaker(RowMaker):
    """A maker of rows with the teachers' next words of the captions of a view.

    Args:
        teachers: what is asked.
        grids: as `teacher_probabilities` takes them.
        like: an array of the shape and type of a view's row (P, C).
    """

    title = "ask the teachers"
    threads = 2  # one prepares while the other computes

    def __init__(self, teachers: Sequence[TunedModel], grids: Split, like: np.ndarray) -> None:
        self.rows_per_photo = grids.views
        self._grids, self._like = grids, like
        self._photos = {int(row): photo for photo, row in enumerate(grids.rows)}
        self._graphs = ShapeGraphs(lambda batch: _mean(teachers, batch))

    def make(self, rows: np.ndarray, missing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows and the teachers' likeliest words with their probabilities (M, P, C)."""
        views = self._grids.views
        captions = [self._grids.tokens[self._photos[int(row // views * views)]] for row in rows]
        numbers = [longest_first(each, range(len(each))) for each in captions]
        ordered = [[each[number] for number in own] for each, own in zip(captions, numbers, strict=True)]
        batch = pack(ordered, max(map(len, ordered)))
        del batch["targets"]
        batch["features"] = self._grids.features[rows]
        images, places = word_places(captions, numbers)
        values = np.zeros((len(rows), *self._like.shape), self._like.dtype)
        words, probabilities = (each.numpy() for each in self._graphs.of(batch)(batch))
        values["word"][images, places], values["probability"][images, places] = words, probabilities
        return rows, values


def _mean(teachers: Sequence[TunedModel], batch: dict[str, tf.Tensor]) -> list[tf.Tensor]:
    """Return the likeliest words by the mean of the teachers' probabilities (N, C), and these (N, C)."""
    parts = []
    for own in shards(batch):
        mean = tf.add_n([tf.nn.softmax(teacher(own)) for teacher in teachers]) / len(teachers)  # (N, V)
        parts.append(likeliest(mean))
    return [tf.concat(each, axis=0) for each in zip(*parts, strict=True)]


def _digest(content: Any) -> str:
    return hashlib.blake2b(json.dumps(content).encode(), digest_size=16).hexdigest()

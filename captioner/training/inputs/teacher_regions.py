"""The regions that a teacher sees in views of photos: what a compact encoder learns to give its decoder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from captioner.data.store import FeatureStore, fingerprint
from captioner.models.captioner import CaptionModel
from captioner.models.encoder import weights_fingerprint
from captioner.photos.preprocessing import preprocessing, scale
from captioner.runtime.encoder import LiteRTEncoder
from captioner.system.home import cache_directory
from captioner.training.inputs.augment import ImageDataset
from captioner.training.inputs.features import refuse_constant
from captioner.training.inputs.row_cache import PhotoRowMaker, fill
from captioner.training.inputs.views import Views


@dataclass(frozen=True)
class Teacher:
    """A trained model that a compact one learns from.

    Attributes:
        encoder: images (S, S, 3) to features (L, D), as prediction sees them: in int8 where it is known how to round
            it, which is three times as fast as float32 in Keras.
        checksum: of the encoder's network.
        feature_layer: the layer that it is cut at.
        decoder: reads the features.
    """

    encoder: LiteRTEncoder
    checksum: str
    feature_layer: str
    decoder: CaptionModel


@dataclass(frozen=True)
class TeacherRegions:
    """The regions that a teacher sees in views of photos.

    Attributes:
        values: float16 (N * V, L, U), the decoder's regions, those of a photo's views side by side; an array or what
            gives rows as one does.
        views: those views.
    """

    values: Any
    views: Views

    def of(self, photos: np.ndarray, views: np.ndarray | int) -> np.ndarray:
        """Return the regions (B, L, U) in one view of each of the photos of these numbers (B,)."""
        return self.values[photos * self.views.boxes.shape[1] + views]


@dataclass(frozen=True)
class TaughtImages:
    """Photos as a training augments them, with the regions that a teacher sees in their views, if there is one."""

    images: ImageDataset
    regions: TeacherRegions | None = None

    def batch(self, rows: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return the arguments of `augment` for photos by their rows (B,), and their `teacher_regions` (B, L, U)."""
        augmented = self.images.batch(rows, rng)
        if self.regions is None:
            return augmented.arrays()
        return augmented.arrays() | {"teacher_regions": self.regions.of(rows, augmented.views)}


def read_teacher_regions(photos: Sequence[Path], views: Views, teacher: Teacher) -> TeacherRegions:
    """Return the teacher's regions of V views of each of N photos, from the cache where they are there.

    Raises:
        CaptionerError: the cache cannot be written to, or the encoder sees nothing.
    """
    encoder, count = teacher.encoder, views.boxes.shape[1]
    identity = {
        "encoder": teacher.checksum,
        "feature_layer": teacher.feature_layer,
        "preprocessing": preprocessing(encoder.image_size),
        "decoder": weights_fingerprint(teacher.decoder),
        "views": views.fingerprint(),
    }
    total, shape = len(photos) * count, (encoder.feature_shape[0], teacher.decoder.config.hidden_size)
    directory = cache_directory() / "targets" / fingerprint(photos, *identity.values())
    store = FeatureStore(directory, (total, *shape), identity)
    with _RegionMaker(photos, views, teacher) as maker:
        fill(store, np.arange(total).reshape(-1, count), maker)
    regions = TeacherRegions(store, views)
    made = np.array([number for number in range(len(photos)) if number not in maker.bad], int)
    refuse_constant(regions.of(made[:32], 0).astype(np.float32), teacher.feature_layer)
    return regions


class _RegionMaker(PhotoRowMaker):
    """A maker of rows with the teacher's regions of all views of a photo."""

    title = "views of each photo, as the teacher sees them"

    def __init__(self, photos: Sequence[Path], views: Views, teacher: Teacher) -> None:
        count = views.boxes.shape[1]
        super().__init__(photos, count)
        self._views, self._encoder = views, teacher.encoder
        self._regions = tf.function(
            teacher.decoder.decoder.regions,
            input_signature=[tf.TensorSpec((count, *teacher.encoder.feature_shape), tf.float32)],
            autograph=False,
        )

    def image(self, photo: np.ndarray, number: int, view: int) -> np.ndarray:
        return self._views.of(photo, number, view, self._encoder.image_size)

    def values(self, images: np.ndarray) -> np.ndarray:
        features = [self._encoder(scale(image), single_threaded=True) for image in images]
        return self._regions(np.stack(features)).numpy()  # (V, L, U)

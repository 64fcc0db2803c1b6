"""Read every photo through the encoder once, into a store that training then reads as often as it likes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from captioner.data.photos import PREPROCESSING, PhotoError, open_photo, preprocess
from captioner.data.store import FeatureStore, fingerprint
from captioner.errors import CaptionerError
from captioner.files import cache_directory
from captioner.models.encoder import weights_fingerprint
from captioner.training.shards import shard_count


@dataclass(frozen=True)
class PhotoFeatures:
    """The features of photos, and those that have none.

    Attributes:
        array: float16 (N, L, D), a row a photo.
        bad: for each row that could not be made, the reason.
    """

    array: np.ndarray
    bad: dict[int, str]


def extract_features(
    photos: Sequence[Path], encoder: keras.Model, feature_layer: str, batch_size: int = 32
) -> PhotoFeatures:
    """Return the features of `photos`, from the cache where they are there, else through `encoder`.

    Photos are opened while the encoder reads those before them, a batch for each core. Killed at any moment, the next
    call goes on where this one stopped. A photo that cannot be opened is no error here; it is tried again next time.

    Raises:
        CaptionerError: the cache cannot be written to, or the encoder's weights are unusable.
    """
    identity = (weights_fingerprint(encoder), feature_layer, PREPROCESSING)
    name = fingerprint(photos, *identity)
    store = FeatureStore(
        cache_directory() / "features" / name,
        (len(photos), *encoder.output_shape[1:]),
        dict(zip(("weights", "feature_layer", "preprocessing"), identity, strict=True)),
    )
    bad: dict[int, str] = {}
    size = encoder.input_shape[1]

    def load(row: int) -> np.ndarray:
        try:
            return preprocess(open_photo(photos[row]), size)
        except PhotoError as error:
            bad[int(row)] = str(error)
            return np.zeros((size, size, 3), np.float32)

    missing = store.missing()
    if len(missing):
        batches = (
            tf.data.Dataset.from_tensor_slices(missing)
            .map(
                lambda row: (row, tf.ensure_shape(tf.numpy_function(load, [row], tf.float32), (size, size, 3))),
                num_parallel_calls=tf.data.AUTOTUNE,
            )
            .batch(batch_size)
            .map(lambda rows, images: (rows, encoder(images, training=False)), num_parallel_calls=shard_count())
            .prefetch(1)
        )
        with tqdm(total=len(photos), initial=len(photos) - len(missing), desc="features", unit="photo", delay=2) as bar:
            for rows, features in batches.as_numpy_iterator():
                readable = np.array([row not in bad for row in rows])
                _check(features[readable], feature_layer)
                store.write(rows[readable], features[readable])
                bar.update(len(rows))
    return PhotoFeatures(store.features, bad)


def _check(features: np.ndarray, feature_layer: str) -> None:
    """Refuse features that say nothing: a weights file with holes would train a model that ignores the photo."""
    same = len(features) > 1 and (features == features[:1, :1]).all()  # one photo may be of one colour
    if same or not np.isfinite(features).all():
        raise CaptionerError(
            f"--encoder-weights: layer {feature_layer!r} gives the same value for every photo, or none at all; the "
            "weights file is incomplete there. Choose an earlier --feature-layer, or the complete ImageNet weights"
        )

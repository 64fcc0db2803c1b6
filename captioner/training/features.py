"""Read every photo through the encoder once, into a store that training then reads as often as it likes.

Or take the features that `bulk --features` has made, on however many machines.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from captioner.ahead import ahead
from captioner.data.feature_parts import FeatureParts
from captioner.data.photos import PhotoError, open_photo, preprocess, preprocessing
from captioner.data.store import FeatureStore, fingerprint
from captioner.errors import CaptionerError
from captioner.files import cache_directory
from captioner.models.encoder import weights_fingerprint
from captioner.training.shards import shard_count


@dataclass(frozen=True)
class PhotoFeatures:
    """The features of photos, and those that have none.

    Attributes:
        array: float16 (N, L, D), an array or what gives rows as one does.
        rows: of each photo.
        bad: for each photo that has none, the reason.
    """

    array: np.ndarray | FeatureParts
    rows: Sequence[int]
    bad: dict[int, str]


NEAR = 0.1
"""How far features from elsewhere may lie from what the encoder sees, as a share of their standard deviation: what
bfloat16 and other libraries make of the same network lies nearer, another network or preprocessing much farther."""


def extract_features(
    photos: Sequence[Path], encoder: keras.Model, feature_layer: str, batch_size: int = 32
) -> PhotoFeatures:
    """Return the features of `photos`, from the cache where they are there, else through `encoder`.

    Each core opens the photos of a batch and reads them through the encoder. Killed at any moment, the next
    call goes on where this one stopped. A photo that cannot be opened is no error here; it is tried again next time.

    Raises:
        CaptionerError: the cache cannot be written to, or the encoder's weights are unusable.
    """
    identity = (weights_fingerprint(encoder), feature_layer, preprocessing(encoder.input_shape[1]))
    name = fingerprint(photos, *identity)
    store = FeatureStore(
        cache_directory() / "features" / name,
        (len(photos), *encoder.output_shape[1:]),
        dict(zip(("weights", "feature_layer", "preprocessing"), identity, strict=True)),
    )
    bad: dict[int, str] = {}
    size = encoder.input_shape[1]
    signature = [tf.TensorSpec((None, size, size, 3), tf.float32)]
    graph = tf.function(lambda images: encoder(images, training=False), signature, autograph=False)

    def encode(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows that have features, and the features."""
        images, readable = [], []
        for row in rows.tolist():
            try:
                images.append(preprocess(open_photo(photos[row]), size))
                readable.append(row)
            except PhotoError as error:
                bad[row] = str(error)
        if not images:
            return np.array([], int), np.empty((0, *encoder.output_shape[1:]), np.float32)
        return np.array(readable), graph(np.stack(images)).numpy()

    missing = store.missing()
    batches = [missing[at : at + batch_size] for at in range(0, len(missing), batch_size)]
    with tqdm(total=len(photos), initial=len(photos) - len(missing), desc="features", unit="photo", delay=2) as bar:
        for batch, (rows, features) in zip(batches, ahead(encode, batches, shard_count()), strict=True):
            _check(features, feature_layer)
            store.write(rows, features)
            bar.update(len(batch))
    return PhotoFeatures(store.features, range(len(photos)), bad)


def find_features(photos: Sequence[Path], parts: FeatureParts, encoder: keras.Model) -> PhotoFeatures:
    """Return the features of `photos` from what `bulk --features` wrote; the first photo is read, to compare.

    Raises:
        CaptionerError: they are not what the encoder sees, or it is not clear which photo's they are.
    """
    rows, bad = parts.find(photos)
    first = next((number for number in range(len(photos)) if number not in bad), None)
    if first is None:
        return PhotoFeatures(parts, rows, bad)
    size, shape = encoder.input_shape[1], tuple(encoder.output_shape[1:])
    if parts.shape[1:] == shape:
        seen = encoder(preprocess(open_photo(photos[first]), size)[None], training=False)
        apart = parts[[rows[first]]].astype(np.float32) - keras.ops.convert_to_numpy(seen)
        if np.sqrt(np.mean(apart**2)) <= NEAR * np.std(seen):
            return PhotoFeatures(parts, rows, bad)
    raise CaptionerError(
        f"--features: {parts.directory} has not what this encoder sees in {photos[first]}: features {parts.shape[1:]}, "
        f"made with {parts.encoder}, where {shape} are expected; make them with `bulk --features` and a model that has "
        "this encoder and these weights"
    )


def _check(features: np.ndarray, feature_layer: str) -> None:
    """Refuse features that say nothing: a weights file with holes would train a model that ignores the photo."""
    same = len(features) > 1 and (features == features[:1, :1]).all()  # one photo may be of one colour
    if same or not np.isfinite(features).all():
        raise CaptionerError(
            f"--encoder-weights: layer {feature_layer!r} gives the same value for every photo, or none at all; the "
            "weights file is incomplete there. Choose an earlier --feature-layer, or the complete ImageNet weights"
        )

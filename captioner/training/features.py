"""Read every photo through the encoder once, into a store that training then reads as often as it likes.

Or take the features that `bulk --features` has made, on however many machines.
"""

import threading
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from captioner.ahead import ahead
from captioner.data.feature_parts import FeatureParts
from captioner.data.photo_process import PhotoOpener
from captioner.data.photos import PhotoError, open_photo, preprocess, preprocessing, scale
from captioner.data.store import FeatureStore, fingerprint
from captioner.errors import CaptionerError
from captioner.files import cache_directory
from captioner.models.encoder import weights_fingerprint
from captioner.training.shards import shard_count
from captioner.training.views import Views


@dataclass(frozen=True)
class PhotoFeatures:
    """The features of photos, and those that have none.

    Attributes:
        array: float16 (N, L, D), an array or what gives rows as one does; the V views of a photo stand side by side.
        rows: the first of each photo.
        bad: for each photo that has none, the reason.
        source: names photos, encoder and preprocessing; "" where the features were not made here.
    """

    array: np.ndarray | FeatureParts
    rows: Sequence[int]
    bad: dict[int, str]
    source: str = ""


NEAR = 0.1
"""How far features from elsewhere may lie from what the encoder sees, as a share of their standard deviation: what
bfloat16 and other libraries make of the same network lies nearer, another network or preprocessing much farther."""


def extract_features(
    photos: Sequence[Path], encoder: keras.Model, feature_layer: str, views: int = 1, batch_size: int = 32
) -> PhotoFeatures:
    """Return the features of `photos`, from the cache where they are there, else through `encoder`.

    The first view of a photo is the whole, the next its mirror image, others are retouched parts of it (`Views`).

    Each core opens the photos of a batch and reads them through the encoder. Killed at any moment, the next
    call goes on where this one stopped. A photo that cannot be opened is no error here; it is tried again next time.

    Raises:
        CaptionerError: the cache cannot be written to, or the encoder's weights are unusable.
    """
    identity = (weights_fingerprint(encoder), feature_layer, preprocessing(encoder.input_shape[1]))
    about = dict(zip(("weights", "feature_layer", "preprocessing"), identity, strict=True))
    drawn = Views.draw(len(photos), views, 0, retouch=True)
    if views > 1:
        about["views"] = drawn.fingerprint()
    source = fingerprint(photos, *about.values())
    store = FeatureStore(
        cache_directory() / "features" / source,
        (len(photos) * views, *encoder.output_shape[1:]),
        about,
    )
    bad: dict[int, str] = {}
    opener, stopped = PhotoOpener(), threading.Event()
    size = encoder.input_shape[1]
    signature = [tf.TensorSpec((None, size, size, 3), tf.float32)]
    graph = tf.function(lambda images: encoder(images, training=False), signature, autograph=False)

    def read(rows: Iterable[int]) -> dict[int, np.ndarray]:
        images = {}
        for number, of_photo in groupby(rows, lambda row: row // views):
            try:
                photo = open_photo(photos[number], opener=opener, cancelled=stopped)
            except PhotoError as error:
                bad[number] = str(error)
                continue
            for row in of_photo:
                images[row] = scale(drawn.of(photo, number, row % views, size))
        return images

    def encode(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows that have features, and the features; none where those that are missing cannot be made."""
        images = read(rows[~store.present[rows]].tolist())
        if not images:
            return np.array([], int), np.empty((0, *encoder.output_shape[1:]), np.float32)
        images |= read(rows[store.present[rows]].tolist())
        readable = sorted(images)
        return np.array(readable), graph(np.stack([images[row] for row in readable])).numpy()

    # A network rounds otherwise in batches of another size. So a run that goes on makes the batches that it would have
    # made, and features do not depend on where it was stopped.
    missing, total = store.missing(), len(photos) * views
    batches = np.split(np.arange(total), range(batch_size, total, batch_size))
    batches = [batch for batch in batches if not store.present[batch].all()]
    unit = "photo" if views == 1 else "view"
    encoded = ahead(encode, batches, shard_count(), stop=stopped.set)
    with (
        closing(opener),
        closing(encoded),
        tqdm(total=total, initial=total - len(missing), desc="features", unit=unit, delay=2) as bar,
    ):
        for batch, (rows, features) in zip(batches, encoded, strict=True):
            _check(features, feature_layer)
            store.write(rows, features)
            bar.update(len(np.intersect1d(batch, missing, assume_unique=True)))
    return PhotoFeatures(store.features, range(0, total, views), bad, source)


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
        f"made with {parts.encoder}, where {shape} are expected; make them with `bulk --features`, and for a training "
        "that starts from the model DIR with `bulk --features model --model DIR`"
    )


def _check(features: np.ndarray, feature_layer: str) -> None:
    """Refuse features that say nothing: a weights file with holes would train a model that ignores the photo."""
    same = len(features) > 1 and (features == features[:1, :1]).all()  # one photo may be of one colour
    if same or not np.isfinite(features).all():
        raise CaptionerError(
            f"--encoder-weights: layer {feature_layer!r} gives the same value for every photo, or none at all; the "
            "weights file is incomplete there. Choose an earlier --feature-layer, or the complete ImageNet weights"
        )

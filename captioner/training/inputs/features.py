"""Read every photo through the encoder once, into a store that training then reads as often as it likes.

Or take the features that `bulk --features` has made, on however many machines.
"""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from captioner.data.feature_parts import FeatureParts
from captioner.data.store import FeatureStore, fingerprint
from captioner.errors import CaptionerError
from captioner.models.encoder import weights_fingerprint
from captioner.photos.opening import open_photo
from captioner.photos.preprocessing import preprocess, preprocessing, scale
from captioner.system.cores import available_cores
from captioner.system.home import cache_directory
from captioner.training.devices import compute_capabilities, shard_count
from captioner.training.inputs.row_cache import PhotoRowMaker, PhotoRows, fill
from captioner.training.inputs.views import Views, cut

NEAR = 0.1
"""How far features from elsewhere may lie from what the encoder sees, as a share of their standard deviation: what
bfloat16 and other libraries make of the same network lies nearer, another network or preprocessing much farther."""

BATCH_SIZE = 32
"""Images that the encoder reads together; fewer where they are larger than 331 pixels, since memory grows with them."""

WHOLE = np.array([0.0, 0.0, 1.0, 1.0])
"""The box of a whole photo, see `captioner.training.inputs.views.Views`."""


def extract_features(photos: Sequence[Path], encoder: keras.Model, feature_layer: str, views: int = 1) -> PhotoRows:
    """Return the features of `photos`, float16 (N * V, L, D), from the cache where they are there.

    The first view of a photo is the whole, the next its mirror image, others are retouched parts of it (`Views`). A
    photo that cannot be opened is no error here; it is tried again next time.

    Raises:
        CaptionerError: the cache cannot be written to, or the encoder's weights are unusable.
    """
    identity = (weights_fingerprint(encoder), feature_layer, preprocessing(encoder.input_shape[1]))
    about = dict(zip(("weights", "feature_layer", "preprocessing"), identity, strict=True))
    drawn = Views.draw(len(photos), views, 0, retouch=True)
    if views > 1:
        about["views"] = drawn.fingerprint()
    source = fingerprint(photos, *about.values())
    total, batch_size = len(photos) * views, images_at_once(encoder.input_shape[1])
    store = FeatureStore(cache_directory() / "features" / source, (total, *encoder.output_shape[1:]), about)
    chunks = np.split(np.arange(total), range(batch_size, total, batch_size))
    with _FeatureMaker(photos, drawn, encoder, feature_layer) as maker:
        fill(store, chunks, maker)
    return PhotoRows(store, range(0, total, views), maker.bad, source, maker.notes)


def images_at_once(size: int) -> int:
    """Return how many images of `size` x `size` pixels the encoder reads together."""
    return max(1, min(BATCH_SIZE, BATCH_SIZE * 331**2 // size**2))


class _FeatureMaker(PhotoRowMaker):
    """A maker of rows with the features of views of photos."""

    title = "features"

    def __init__(self, photos: Sequence[Path], views: Views, encoder: keras.Model, feature_layer: str) -> None:
        super().__init__(photos, views.boxes.shape[1])
        # On a processor as many as it reads side by side; with a GPU all cores open photos, so that it need not wait
        self.threads = available_cores() if compute_capabilities() else shard_count()
        self._views, self._size, self._layer = views, encoder.input_shape[1], feature_layer
        signature = [tf.TensorSpec((None, *encoder.input_shape[1:]), tf.float32)]
        self._graph = tf.function(lambda images: encoder(images, training=False), signature, autograph=False)

    def image(self, photo: np.ndarray, number: int, view: int) -> np.ndarray:
        return self._views.of(photo, number, view, self._size)

    def values(self, images: np.ndarray) -> np.ndarray:
        features = self._graph(scale(images)).numpy()
        refuse_constant(features, self._layer)
        return features


def refuse_constant(features: np.ndarray, feature_layer: str) -> None:
    """Refuse constant features (N, ...): a weights file with holes would train a model that ignores the photo.

    Raises:
        CaptionerError: they are equal for several photos, or not finite.
    """
    same = len(features) > 1 and (features == features[:1, :1]).all()  # one photo may be of one colour
    if same or not np.isfinite(features).all():
        raise CaptionerError(
            f"--encoder-weights: layer {feature_layer!r} gives the same value for every photo, or none at all; the "
            "weights file is incomplete there. Choose an earlier --feature-layer, or the complete ImageNet weights"
        )


def find_features(photos: Sequence[Path], parts: FeatureParts, encoder: keras.Model) -> PhotoRows:
    """Return the features of `photos` from what `bulk --features` wrote; the first photo is read, to compare.

    Raises:
        CaptionerError: they are not what the encoder sees, or it is not clear which photo's they are.
    """
    rows, bad = parts.find(photos)
    first = next((number for number in range(len(photos)) if number not in bad), None)
    if first is None:
        return PhotoRows(parts, rows, bad)
    size, shape = encoder.input_shape[1], tuple(encoder.output_shape[1:])
    if parts.shape[1:] == shape:
        seen = encoder(preprocess(open_photo(photos[first]), size)[None], training=False)
        apart = parts[[rows[first]]].astype(np.float32) - keras.ops.convert_to_numpy(seen)
        if np.sqrt(np.mean(apart**2)) <= NEAR * np.std(seen):
            return PhotoRows(parts, rows, bad)
    raise CaptionerError(
        f"--features: {parts.directory} does not fit this encoder: for {photos[first]} it holds features "
        f"{parts.shape[1:]} of {parts.encoder}, expected {shape}; make them with `bulk --features`, or, for a training "
        "that starts from the model DIR, with `bulk --features model --model DIR`"
    )


def read_pixels(photos: Sequence[Path], size: int) -> PhotoRows:
    """Return the photos squashed to squares, uint8 (N, size, size, 3), from the cache where they are there.

    Raises:
        CaptionerError: the cache cannot be written to.
    """
    identity = ("pixels", f"pillow-bilinear-{size}")
    source = fingerprint(photos, *identity)
    about = dict(zip(("kind", "preprocessing"), identity, strict=True))
    store = FeatureStore(cache_directory() / "pixels" / source, (len(photos), size, size, 3), about, np.uint8)
    with _PixelMaker(photos, size) as maker:
        fill(store, np.arange(len(photos))[:, None], maker)
    return PhotoRows(store, range(len(photos)), maker.bad, source, maker.notes)


class _PixelMaker(PhotoRowMaker):
    """A maker of rows with photos squashed to squares."""

    title = "photos"

    def __init__(self, photos: Sequence[Path], size: int) -> None:
        super().__init__(photos)
        self._size = size

    def image(self, photo: np.ndarray, number: int, view: int) -> np.ndarray:
        return cut(photo, WHOLE, False, self._size)

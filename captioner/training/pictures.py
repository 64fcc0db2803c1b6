"""Photos as pixels in memory, and the many ways in which a training looks at them."""

import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from keras import ops
from tqdm import tqdm

from captioner.ahead import ahead
from captioner.cores import available_cores
from captioner.data.photo_process import PhotoOpener
from captioner.data.photos import PhotoError, open_photo
from captioner.data.store import FeatureStore, fingerprint
from captioner.files import cache_directory
from captioner.training.views import Views, cut, draw_parts

SHIFT = 0.03
"""How far the edges of a part may move each time it is looked at, as a share of the photo's sides."""

TURN = 0.07
"""The most that a photo is turned, in radians: 4 degrees."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""How bright red, green and blue seem (ITU-R BT.601)."""


@dataclass(frozen=True)
class Look:
    """How a training sees a batch of photos this time.

    Attributes:
        images: uint8 (B, S, S, 3).
        turns: float32 (B, 8), what `keras.ops.image.affine_transform` is to do with them.
        colours: float32 (B, 4, 3): new colours from red, green, blue and 1.
        views: int (B,): which of the fixed views each is; 0 where they are drawn anew.
    """

    images: np.ndarray
    turns: np.ndarray
    colours: np.ndarray
    views: np.ndarray


class Pictures:
    """The photos of a split in memory, and looks at them.

    Args:
        pixels: uint8 (N, H, H, 3), each photo squashed to a square.
        size: side of what the encoder reads (S).
        views: the parts to choose from; None draws others each time.
    """

    def __init__(self, pixels: np.ndarray, size: int, views: Views | None) -> None:
        self.pixels = pixels
        self.size = size
        self.views = views

    def look(self, rows: np.ndarray, rng: np.random.Generator) -> Look:
        """Look at the photos of these rows (B,): a view of each, moved, turned and recoloured a little."""
        count = len(rows)
        if self.views is None:
            views = np.zeros(count, int)
            boxes, mirrored = draw_parts(rng, count)
        else:
            views = rng.integers(self.views.boxes.shape[1], size=count)
            boxes, mirrored = self.views.boxes[rows, views], self.views.mirrored[rows, views]
        boxes = np.clip(boxes + rng.uniform(-SHIFT, SHIFT, boxes.shape), 0.0, 1.0)
        images = [
            cut(self.pixels[row], box, flip, self.size) for row, box, flip in zip(rows, boxes, mirrored, strict=True)
        ]
        return Look(np.stack(images), _turns(rng, count, self.size), _colours(rng, count), views)


def seen(images: tf.Tensor, turns: tf.Tensor, colours: tf.Tensor) -> tf.Tensor:
    """Turn and recolour images uint8 (B, S, S, 3) as a `Look` says -> float32 (B, S, S, 3) in [-1, 1]."""
    pixels = tf.cast(images, tf.float32) / 127.5 - 1.0
    pixels = ops.image.affine_transform(pixels, turns, interpolation="bilinear", fill_mode="nearest")
    flat = tf.reshape(pixels, (tf.shape(images)[0], -1, 3))  # (B, S*S, 3)
    flat = tf.matmul(flat, colours[:, :3]) + colours[:, 3:]
    return tf.reshape(tf.clip_by_value(flat, -1.0, 1.0), tf.shape(images))


def _turns(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    """Draw turns about the middle, as rows (a, b, c, d, e, f, 0, 0): the pixel (x, y) comes from (ax+by+c, dx+ey+f)."""
    angle = rng.uniform(-TURN, TURN, count)
    cosine, sine, middle = np.cos(angle), np.sin(angle), (size - 1) / 2
    across = [cosine, -sine, middle * (1 - cosine + sine)]
    down = [sine, cosine, middle * (1 - sine - cosine)]
    return np.stack([*across, *down, np.zeros(count), np.zeros(count)], axis=1).astype(np.float32)


def _colours(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draw changes of contrast, saturation, brightness and tint."""
    contrast, saturation = rng.uniform(0.7, 1.3, (count, 1, 1)), rng.uniform(0.6, 1.4, (count, 1, 1))
    brightness, tint = rng.uniform(-0.25, 0.25, (count, 1, 1)), rng.uniform(0.92, 1.08, (count, 1, 3))
    grey = np.repeat(LUMA[:, None], 3, axis=1)  # a colour times this is its brightness, three times
    matrix = contrast * (saturation * np.eye(3) + (1 - saturation) * grey) * tint  # (B, 3, 3)
    return np.concatenate([matrix, np.broadcast_to(brightness, (count, 1, 3))], axis=1).astype(np.float32)


def read_pixels(photos: Sequence[Path], size: int) -> tuple[np.ndarray, dict[int, str]]:
    """Return the photos as uint8 (N, size, size, 3), from the cache where they are there, and why some cannot be read.

    Raises:
        CaptionerError: the cache cannot be written to.
    """
    identity = ("pixels", f"pillow-bilinear-{size}")
    store = FeatureStore(
        cache_directory() / "pixels" / fingerprint(photos, *identity),
        (len(photos), size, size, 3),
        dict(zip(("kind", "preprocessing"), identity, strict=True)),
        np.uint8,
    )
    whole = np.array([0.0, 0.0, 1.0, 1.0])
    bad = fill(store, photos, "photos", lambda photo, number: cut(photo, whole, False, size)[None])
    return store.features, bad


def fill(
    store: FeatureStore,
    photos: Sequence[Path],
    what: str,
    make: Callable[[np.ndarray, int], np.ndarray],
    rows_a_photo: int = 1,
) -> dict[int, str]:
    """Make the rows of a store that are missing, photo by photo, on all cores.

    Args:
        store: of N times `rows_a_photo` rows, those of a photo one after the other.
        photos: N files.
        what: the progress bar's name.
        make: a photo uint8 (H, W, 3) and its number -> its rows; called from several threads.
        rows_a_photo: how many those are.

    Returns:
        for each photo that could not be opened, the reason.
    """
    bad: dict[int, str] = {}

    opener, stopped = PhotoOpener(), threading.Event()

    def work(number: int) -> np.ndarray | None:
        try:
            return make(open_photo(photos[number], opener=opener, cancelled=stopped), number)
        except PhotoError as error:
            bad[number] = str(error)
            return None

    missing = np.unique(store.missing() // rows_a_photo).tolist()
    cores = available_cores()
    made = ahead(work, missing, cores, 4 * cores, stopped.set)
    with (
        closing(opener),
        closing(made),
        tqdm(total=len(photos), initial=len(photos) - len(missing), desc=what, unit="photo", delay=2) as bar,
    ):
        for number, rows in zip(missing, made, strict=True):
            if rows is not None:
                store.write(range(number * rows_a_photo, (number + 1) * rows_a_photo), rows)
            bar.update()
    return bad

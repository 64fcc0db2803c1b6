"""Photos as pixels in memory, augmented differently each time a training reads them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops

from captioner.training.inputs.feature_extractor import scale_pixels
from captioner.training.inputs.views import Views, cut, draw_parts

SHIFT = 0.03
"""How far the edges of a part may move each time, as a share of the photo's sides."""

TURN = 0.07
"""The most that a photo is turned, in radians: 4 degrees."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""How bright red, green and blue seem (ITU-R BT.601)."""


@dataclass(frozen=True)
class AugmentedBatch:
    """Images, and the changes that `augment` makes to them in the graph.

    Attributes:
        images: uint8 (B, S, S, 3).
        transforms: float32 (B, 8), of `keras.ops.image.affine_transform`.
        colours: float32 (B, 4, 3): new colours from red, green, blue and 1.
        views: int (B,), which of the fixed views each image is; 0 where new ones are drawn.
    """

    images: np.ndarray
    transforms: np.ndarray
    colours: np.ndarray
    views: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arguments of `augment` by name."""
        return {"images": self.images, "transforms": self.transforms, "colours": self.colours}


class ImageDataset:
    """Photos in memory, and random views of them.

    Args:
        pixels: uint8 (N, H, H, 3), each photo squashed to a square; an array or what gives rows as one does.
        size: side of what the encoder reads (S).
        views: the parts to choose from; None draws others each time.
    """

    def __init__(self, pixels: Any, size: int, views: Views | None) -> None:
        self.pixels = pixels
        self.size = size
        self.views = views

    def batch(self, rows: np.ndarray, rng: np.random.Generator) -> AugmentedBatch:
        """Draw a view of the photos of these rows (B,), moved, turned and recoloured a little."""
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
        return AugmentedBatch(np.stack(images), _transforms(rng, count, self.size), _colours(rng, count), views)


def augment(images: tf.Tensor, transforms: tf.Tensor, colours: tf.Tensor) -> tf.Tensor:
    """Turn and recolour images uint8 (B, S, S, 3) as an `AugmentedBatch` says -> float32 (B, S, S, 3) in [-1, 1]."""
    pixels = scale_pixels(images)
    pixels = ops.image.affine_transform(pixels, transforms, interpolation="bilinear", fill_mode="nearest")
    flat = tf.reshape(pixels, (tf.shape(images)[0], -1, 3))  # (B, S*S, 3)
    flat = tf.matmul(flat, colours[:, :3]) + colours[:, 3:]
    return tf.reshape(tf.clip_by_value(flat, -1.0, 1.0), tf.shape(images))


def _transforms(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
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

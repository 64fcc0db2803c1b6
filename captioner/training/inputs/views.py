"""Views of photos for training: crops and mirror images."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance

from captioner.data.store import fingerprint
from captioner.photos.decoding import squash

LEAST_SIDE = 0.65
"""The least width and height of a part that is drawn, as a share of the photo's."""

RETOUCHES: tuple[tuple[Callable[[Image.Image], Any], float, float], ...] = (
    (ImageEnhance.Sharpness, 0.4, 2.2),
    (ImageEnhance.Contrast, 0.8, 1.2),
    (ImageEnhance.Brightness, 0.8, 1.2),
)
"""What is changed about a part, from and to; 1 changes nothing. People's photos are sharper than Flickr8k's copies."""


@dataclass(frozen=True)
class Views:
    """Parts of photos, the same at each call: V of each photo.

    Attributes:
        boxes: float (N, V, 4): left, top, right and bottom edge, as shares of the photo's sides.
        mirrored: bool (N, V).
        retouches: float (N, V, 3): the factors of `RETOUCHES`; none leaves all views as they are.
    """

    boxes: np.ndarray
    mirrored: np.ndarray
    retouches: np.ndarray | None = None

    @classmethod
    def draw(cls, photos: int, views: int, seed: int, *, retouch: bool = False) -> "Views":
        """Draw views of N photos: the whole, its mirror image, then parts at random, half of them mirrored.

        With `retouch` those parts differ in sharpness and light too.
        """
        rng = np.random.default_rng([seed, photos, views])
        boxes, mirrored = draw_parts(rng, photos * views)
        boxes, mirrored = boxes.reshape(photos, views, 4), mirrored.reshape(photos, views)
        boxes[:, :2] = [0.0, 0.0, 1.0, 1.0]
        mirrored[:, :1], mirrored[:, 1:2] = False, True
        if not retouch:
            return cls(boxes, mirrored)
        least, most = [low for _, low, _ in RETOUCHES], [high for _, _, high in RETOUCHES]
        retouches = rng.uniform(least, most, (photos, views, len(RETOUCHES)))
        retouches[:, :2] = 1.0
        return cls(boxes, mirrored, retouches)

    def fingerprint(self) -> str:
        """Return a digest of these views, for the fingerprints of what is made of them."""
        drawn = (self.boxes, self.mirrored, self.retouches)
        return fingerprint([], *(each.tobytes().hex() for each in drawn if each is not None))

    def of(self, photo: np.ndarray, number: int, view: int, size: int) -> np.ndarray:
        """Return a view of the photo of that number, uint8 (H, W, 3), as uint8 (size, size, 3)."""
        image = cut(photo, self.boxes[number, view], bool(self.mirrored[number, view]), size)
        if self.retouches is None:
            return image
        retouched = Image.fromarray(image)
        for (enhance, *_), factor in zip(RETOUCHES, self.retouches[number, view], strict=True):
            retouched = enhance(retouched).enhance(factor)
        return np.asarray(retouched)


def draw_parts(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw parts of photos: boxes (count, 4) as in `Views`, and which are mirrored (count,)."""
    sides = rng.uniform(LEAST_SIDE, 1.0, (count, 2))
    corners = rng.uniform(0.0, 1.0, (count, 2)) * (1.0 - sides)
    return np.concatenate([corners, corners + sides], axis=1), rng.random(count) < 0.5


def cut(photo: np.ndarray, box: np.ndarray, mirrored: bool, size: int) -> np.ndarray:
    """Resize a part of a photo uint8 (H, W, 3) to uint8 (size, size, 3), as `photos.preprocessing.preprocess` does."""
    height, width = photo.shape[:2]
    image = np.asarray(squash(Image.fromarray(photo), size, tuple((box * [width, height, width, height]).tolist())))
    return image[:, ::-1] if mirrored else image

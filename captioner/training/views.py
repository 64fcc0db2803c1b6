"""Parts of photos, and their mirror images, that a training looks at in the place of the whole."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from captioner.data.store import fingerprint

LEAST_SIDE = 0.65
"""The least width and height of a part that is drawn, as a share of the photo's."""


@dataclass(frozen=True)
class Views:
    """Parts of photos, the same at each call: V of each photo.

    Attributes:
        boxes: float (N, V, 4): left, top, right and bottom edge, as shares of the photo's sides.
        mirrored: bool (N, V).
    """

    boxes: np.ndarray
    mirrored: np.ndarray

    @classmethod
    def draw(cls, photos: int, views: int, seed: int) -> "Views":
        """Draw views of N photos: the whole, its mirror image, then parts at random, half of them mirrored."""
        rng = np.random.default_rng([seed, photos, views])
        boxes, mirrored = draw_parts(rng, photos * views)
        boxes, mirrored = boxes.reshape(photos, views, 4), mirrored.reshape(photos, views)
        boxes[:, :2] = [0.0, 0.0, 1.0, 1.0]
        mirrored[:, :1], mirrored[:, 1:2] = False, True
        return cls(boxes, mirrored)

    def fingerprint(self) -> str:
        """Name these views, for the fingerprints of what is made of them."""
        return fingerprint([], self.boxes.tobytes().hex(), self.mirrored.tobytes().hex())

    def of(self, photo: np.ndarray, number: int, view: int, size: int) -> np.ndarray:
        """Return a view of the photo of that number, uint8 (H, W, 3), as uint8 (size, size, 3)."""
        return cut(photo, self.boxes[number, view], bool(self.mirrored[number, view]), size)


def draw_parts(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw parts of photos: boxes (count, 4) as in `Views`, and which are mirrored (count,)."""
    sides = rng.uniform(LEAST_SIDE, 1.0, (count, 2))
    corners = rng.uniform(0.0, 1.0, (count, 2)) * (1.0 - sides)
    return np.concatenate([corners, corners + sides], axis=1), rng.random(count) < 0.5


def cut(photo: np.ndarray, box: np.ndarray, mirrored: bool, size: int) -> np.ndarray:
    """Resize a part of a photo uint8 (H, W, 3) to uint8 (size, size, 3), as `captioner.data.photos.preprocess` does."""
    height, width = photo.shape[:2]
    left, top, right, bottom = (box * [width, height, width, height]).tolist()
    image = np.asarray(
        Image.fromarray(photo).resize((size, size), Image.Resampling.BILINEAR, box=(left, top, right, bottom))
    )
    return image[:, ::-1] if mirrored else image

"""Turn a photo into what the encoder sees."""

import numpy as np
from PIL import Image

from captioner.photos.decoding import squash

PREPROCESSING = "pillow-bilinear-299-tf"
"""What `preprocess` does, for fingerprints: whatever changes its values must change this name."""


def preprocess(photo: np.ndarray, size: int = 299) -> np.ndarray:
    """Turn a photo, uint8 (H, W, 3), into the encoder's input: float32 (size, size, 3) in [-1, 1].

    The whole photo is squashed to a square, whatever its aspect ratio, since what lies at the edges is worth
    describing too. The bilinear filter is widened when it shrinks (antialiased), then x / 127.5 - 1, as the
    ImageNet weights of InceptionV3 expect.
    """
    return scale(np.asarray(squash(Image.fromarray(photo), size)))


def scale(pixels: np.ndarray) -> np.ndarray:
    """Scale pixels, uint8 of any shape, to the range of InceptionV3's weights: float32 in [-1, 1]."""
    return pixels.astype(np.float32) / np.float32(127.5) - np.float32(1)


def preprocessing(size: int) -> str:
    """Return the name of the preprocessing to this size, for fingerprints."""
    return PREPROCESSING.replace("299", str(size))

"""Fit the int8 roundings of a model's encoder to some of its training photos."""

from collections.abc import Collection, Sequence
from pathlib import Path

import keras
import numpy as np

from captioner.errors import CaptionerError, PhotoError
from captioner.model_files.convolution import Rounding
from captioner.photos.opening import open_photo
from captioner.photos.preprocessing import preprocess
from captioner.training.fitting.gptq import find_roundings

PHOTOS = 48


def model_roundings(encoder: keras.Model, photos: Sequence[Path], known: Collection[str] = ()) -> dict[str, Rounding]:
    """Find the roundings of an encoder's convolutions, by the keys of their kernels.

    Args:
        encoder: images (B, S, S, 3) to features (B, L, D).
        photos: of the training, in any number; 48 of them, spread evenly, are read.
        known: keys of kernels whose rounding is known, and which are left out.

    Raises:
        CaptionerError: no photo can be read.
    """
    return find_roundings(encoder, calibration_images(photos, encoder.input_shape[1]), known)


def calibration_images(photos: Sequence[Path], size: int) -> np.ndarray:
    """Read photos, spread evenly over all that there are, as float32 (B, S, S, 3) in [-1, 1]; broken ones are skipped.

    Raises:
        CaptionerError: none can be read.
    """
    numbers = np.linspace(0, len(photos) - 1, min(PHOTOS, len(photos))).round().astype(int)
    images = []
    for number in numbers:
        try:
            images.append(preprocess(open_photo(photos[number]), size))
        except PhotoError:  # which the training has reported
            continue
    if not images:
        raise CaptionerError(f"none of {len(numbers)} photos can be read; look at the reasons above")
    return np.stack(images)

"""Open a photo safely, wherever it comes from, as an upright RGB array."""

import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
from PIL import Image

from captioner.errors import PhotoError
from captioner.photos.bit_depth import array_to_8_bits
from captioner.photos.decoding import (
    checked,
    decode,
    explaining,
    is_plain,
    kept_for,
    orientation_of,
    read_file,
    reason,
    squash,
    to_rgb,
    too_many,
    turned,
)
from captioner.photos.limits import MAX_PIXELS
from captioner.photos.memory_budget import DECODING
from captioner.photos.process import PhotoOpener, Wanted
from captioner.photos.streams import name_of
from captioner.system.processes import can_start


def open_photo(
    source: str | Path | bytes | Image.Image | np.ndarray,
    *,
    max_pixels: int = MAX_PIXELS,
    size: int | None = None,
    opener: PhotoOpener | None = None,
    cancelled: threading.Event | None = None,
    on_note: Callable[[str], object] | None = None,
) -> np.ndarray:
    """Open a photo from wherever it comes: uint8 (H, W, 3), upright, in RGB.

    The EXIF orientation is applied, transparency is laid over white, 16 bits are scaled to 8, and of an animation the
    first frame is taken. What the file says of its size is held against `captioner.photos.limits` before anything
    is decoded. A very large photo comes smaller, by a whole factor. May be called from several threads.

    Args:
        source: a path, the bytes of a file, a Pillow image, or an array: (H, W) or (H, W, C) with 1 to 4 channels
            (grey, grey and alpha, RGB, RGBA), of bool, uint8, uint16 (its whole range), other integers in 0..255, or
            floats in 0..1 or 0..255.
        max_pixels: above which the photo is refused; `MAX_PIXELS` at most.
        size: side of a square that the whole photo is squashed to, as `preprocess` does; None leaves it as it is.
        opener: opens files in separate processes, each under a budget of processor time and memory. Without one, a
            file is opened in this process where its structure promises to be cheap, else in one of its own.
        cancelled: ends the work in the opener when it is set.
        on_note: takes a line about a file that is odd, and was opened nevertheless: a JPEG without its end marker.

    Raises:
        PhotoError: there is no such file, or it is empty, truncated, damaged, too large (`TooManyPixelsError`), not a
            photo, or takes too much to open.
        OpeningCancelledError: see `cancelled`.
    """
    if isinstance(source, np.ndarray):
        photo = _from_array(source, max_pixels)
    elif isinstance(source, Image.Image):
        photo = _from_pillow(source, "the image", max_pixels)
    elif opener is not None and can_start():
        return opener.open(source, Wanted(max_pixels, size, cancelled=cancelled, on_note=on_note))[0]
    else:
        return _from_file(source, Wanted(max_pixels, size, on_note=on_note))
    return np.array(squash(photo, size) if size else photo)


def _from_file(source: str | Path | bytes, wanted: Wanted) -> np.ndarray:
    """Open a file here if its structure promises to be cheap, else in a separate process."""
    size = wanted.size
    name = name_of(source)
    try:
        content = source if isinstance(source, bytes) else read_file(Path(source), name)
    except OSError as error:
        raise PhotoError(f"{name}: {reason(error)}") from error
    with explaining(name, content):
        structure = checked(content, name, wanted.max_pixels)
        if is_plain(content, structure) or not can_start():
            report = wanted.on_note or (lambda note: None)
            photo = decode(content, structure, DECODING.take, lambda note: report(f"{name}: {note}"), kept_for(size))
            return np.array(squash(photo, size) if size else photo)
    with closing(PhotoOpener()) as opener:
        return opener.open(source, wanted)[0]


def _from_pillow(image: Image.Image, name: str, max_pixels: int) -> Image.Image:
    if image.width * image.height > min(max_pixels, MAX_PIXELS):
        raise too_many(name, max_pixels)
    if image.width * image.height == 0:
        raise PhotoError(f"{name}: the image has no pixels")
    try:
        with DECODING.take(4 * image.width * image.height):
            photo = to_rgb(image)  # of TIFF only this knows the orientation, which is then applied already
            return turned(photo, orientation_of(image))
    except Exception as error:  # it may be a file that is not decoded yet
        raise PhotoError(f"{name}: {reason(error)}") from error


def _from_array(array: np.ndarray, max_pixels: int) -> Image.Image:
    if array.ndim not in (2, 3) or (array.ndim == 3 and not 1 <= array.shape[2] <= 4) or array.size == 0:
        raise PhotoError(
            f"the array: expected the shape (height, width) or (height, width, 1 to 4 channels), got {array.shape}"
        )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    return _from_pillow(Image.fromarray(array_to_8_bits(array)), "the array", max_pixels)

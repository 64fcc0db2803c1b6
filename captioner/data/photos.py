"""Open any photo safely and make of it what the encoder sees."""

import glob
import io
import math
import os
import re
import stat
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, UnidentifiedImageError

from captioner.errors import CaptionerError

MAX_PIXELS = 178_956_970
"""Pillow's own limit for an error, twice that of its warning: the largest cameras stay below it."""

LARGE = 40_000_000
"""Pixels from which on a photo is made smaller as it is read, and that are decoded at once in all threads, so that
no file takes more than a gigabyte of memory."""

_MOST = {"WEBP": 60_000_000, "TIFF": 120_000_000, "progressive": 100_000_000, "bmp_rle": 8_000_000}
"""Pixels at most where the decoder keeps more than the picture itself: WebP four of them, TIFF a strip that may be all,
a progressive JPEG its coefficients; and where it is written in Python, as that of packed BMP is."""

_NOT_AVERAGED = ("1", "P", "PA", "LA", "La", "RGBA", "RGBa", "I", "F")
"""Modes whose numbers cannot be averaged, or not without another copy of the picture."""

PREPROCESSING = "pillow-bilinear-299-tf"
"""What `preprocess` does, for fingerprints: whatever changes its values must change this name."""

# Explicit, since Pillow also tries formats that start other programs (EPS) or unpack themselves (FITS, PDF).
# MPO, several JPEGs in one file, is read by the JPEG reader.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")
_EXPECTED = "expected JPEG, PNG, GIF, WebP, BMP or TIFF"
_EXTENSIONS = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".gif", ".webp", ".bmp", ".dib", ".tif", ".tiff")

CAPTIONED = ".captioned"
"""What stands before the extension of a copy with a description; folders and patterns leave such copies out."""

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_warnings_lock = threading.Lock()


class _Room:
    """Lets so many pixels be decoded at once, and a larger photo alone, however many threads ask."""

    def __init__(self, pixels: int) -> None:
        self._pixels, self._taken = pixels, 0
        self._changed = threading.Condition()

    @contextmanager
    def take(self, pixels: int) -> Iterator[None]:
        share = min(pixels, self._pixels)
        with self._changed:
            self._changed.wait_for(lambda: self._taken + share <= self._pixels)
            self._taken += share
        try:
            yield
        finally:
            with self._changed:
                self._taken -= share
                self._changed.notify_all()


_room = _Room(LARGE)


class PhotoError(CaptionerError):
    """A photo cannot be used; the message begins with its name and gives the reason."""


class TooManyPixelsError(PhotoError):
    """A photo has more pixels than are let in."""


def open_photo(source: str | Path | bytes | Image.Image | np.ndarray, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Open a photo from wherever it comes: uint8 (H, W, 3), upright, in RGB.

    `source` is a path, the bytes of a file, a Pillow image, or an array: (H, W) or (H, W, C) with 1 to 4 channels
    (grey, grey and alpha, RGB, RGBA), of bool, uint8, uint16 (its whole range), other integers in 0..255, or
    floats in 0..1 or 0..255.

    The EXIF orientation is applied, transparency is laid over white, 16 bits are scaled to 8, and of an
    animation the first frame is taken. The number of pixels is read from the header and held against
    `max_pixels`, `MAX_PIXELS` at most (less for some formats), before anything is decoded. A photo of more than `LARGE`
    pixels comes smaller, by a whole factor. May be called from several threads.

    Raises:
        PhotoError: there is no such file, or it is empty, truncated, damaged, too large (`TooManyPixelsError`) or not a
            photo.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source, max_pixels)
    name = str(source) if isinstance(source, str | Path) else "the image"
    try:
        if isinstance(source, Image.Image):
            return _to_rgb(source, name, max_pixels)
        if isinstance(source, bytes):
            return _decode(io.BytesIO(source), len(source), name, max_pixels)
        return _from_file(Path(source), name, max_pixels)
    except PhotoError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_many(name, max_pixels) from error
    # Pillow's decoders raise nearly anything on a broken file: SyntaxError, struct.error, EOFError, zlib.error, ...
    except Exception as error:
        raise PhotoError(f"{name}: {_reason(error)}") from error


def preprocess(photo: np.ndarray, size: int = 299) -> np.ndarray:
    """Make of a photo, uint8 (H, W, 3), the encoder's input: float32 (size, size, 3) in [-1, 1].

    The whole photo is squashed to a square, whatever its aspect ratio, since what lies at the edges is worth
    describing too. The bilinear filter is widened when it shrinks (antialiased), then x / 127.5 - 1, as the
    ImageNet weights of InceptionV3 expect. Training and prediction both call this function, so that they see
    the same pixels.
    """
    resized = Image.fromarray(photo).resize((size, size), Image.Resampling.BILINEAR)
    return scale(np.asarray(resized))


def scale(pixels: np.ndarray) -> np.ndarray:
    """Make of pixels, uint8 of any shape, what InceptionV3's weights expect: float32 in [-1, 1]."""
    return pixels.astype(np.float32) / np.float32(127.5) - np.float32(1)


def preprocessing(size: int) -> str:
    """Name what `preprocess` does for photos of this size, for fingerprints."""
    return PREPROCESSING.replace("299", str(size))


def find_photos(paths: Iterable[str]) -> tuple[list[Path], list[str]]:
    """Expand what a user typed into photos, in the order named and without duplicates, and complaints.

    A file stays, whatever its extension. A folder gives the photos in it and in its folders, known by their
    extension, in natural order (2.jpg before 10.jpg), without hidden ones. A glob pattern that the shell left
    alone is expanded. What leads nowhere gives a complaint of one line.
    """
    photos: dict[Path, Path] = {}
    complaints = []
    for typed in paths:
        found, wrong = _expand(typed)
        complaints += wrong
        for photo in found:
            photos.setdefault(photo.absolute(), photo)
    return list(photos.values()), complaints


def _expand(typed: str) -> tuple[list[Path], list[str]]:
    path = Path(typed)
    try:
        if typed and path.is_dir():
            photos, complaints = _photos_in(path)
            if not photos and not complaints:
                complaints = [f"{typed}: no photos in this folder (looked for {' '.join(_EXTENSIONS)})"]
            return photos, complaints
        if typed and (path.exists() or path.is_symlink()):
            return [path], []
        if not glob.has_magic(typed):
            return [], [f"{typed or repr(typed)}: no such file"]
        return _matching(typed)
    except OSError as error:
        return [], [f"{typed}: {_reason(error)}"]


def _matching(pattern: str) -> tuple[list[Path], list[str]]:
    photos: list[Path] = []
    complaints: list[str] = []
    for match in map(Path, sorted(glob.glob(pattern, recursive=True), key=_natural)):
        if match.is_dir():
            inside, wrong = _photos_in(match)
            photos += inside
            complaints += wrong
        elif is_photo(match.name):
            photos.append(match)
    if not photos and not complaints:
        complaints = [f"{pattern}: no photos match this pattern"]
    return photos, complaints


def _photos_in(folder: Path) -> tuple[list[Path], list[str]]:
    photos: list[Path] = []
    complaints: list[str] = []

    def unreadable(error: OSError) -> None:
        complaints.append(f"{error.filename}: {_reason(error)}")

    for parent, folders, files in os.walk(folder, onerror=unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        photos += [Path(parent, name) for name in files if not name.startswith(".") and is_photo(name)]
    return sorted(photos, key=lambda photo: [_natural(part) for part in photo.parts]), complaints


def is_photo(name: str) -> bool:
    """Tell by a file's name whether folders and patterns count it as a photo."""
    stem, dot, extension = name.lower().rpartition(".")
    return dot + extension in _EXTENSIONS and not stem.endswith(CAPTIONED)


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key under which "2.jpg" stands before "10.jpg"."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name.casefold())]


def _from_file(path: Path, name: str, max_pixels: int) -> np.ndarray:
    if "\0" in name:
        raise PhotoError(f"{name!r}: no such file")
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise PhotoError(f"{name}: a folder, expected a photo")
    if not stat.S_ISREG(status.st_mode):  # to open a pipe would wait for its other end
        raise PhotoError(f"{name}: not a regular file")
    with path.open("rb") as file:
        return _decode(file, status.st_size, name, max_pixels)


def _decode(file: IO[bytes], size: int, name: str, max_pixels: int) -> np.ndarray:
    if size == 0:
        raise PhotoError(f"{name}: the file is empty")
    with _without_warnings():
        image = Image.open(file, formats=_FORMATS)
    return _to_rgb(image, name, max_pixels, ours=True)


def _to_rgb(image: Image.Image, name: str, max_pixels: int, ours: bool = False) -> np.ndarray:
    """uint8 (H, W, 3) of a Pillow image of any mode, which stays as it is unless it is `ours`."""
    max_pixels = min(max_pixels, _most(image))
    if image.width * image.height > max_pixels:
        raise _too_many(name, max_pixels)
    if image.width * image.height == 0:
        raise PhotoError(f"{name}: the image has no pixels")
    with _room.take(image.width * image.height):
        return _decoded(image, ours)


def _most(image: Image.Image) -> int:
    """Say how many pixels an image may have for what its decoder does with them."""
    decoders = [entry[0] for entry in getattr(image, "tile", ())]
    kinds = [image.format, *decoders, *(["progressive"] if image.info.get("progressive") else [])]
    return min(_MOST.get(str(kind), MAX_PIXELS) for kind in kinds)


def _decoded(image: Image.Image, ours: bool) -> np.ndarray:
    factor = math.ceil(math.sqrt(image.width * image.height / LARGE))
    if factor > 1 and ours:  # a JPEG decodes to half its sides sooner than to all; others pass over it
        image.draft(None, (image.width // 2, image.height // 2))
    # Only TIFF reads more of its header, and remarks on it, while it decodes; the others may decode side by side
    with _without_warnings() if image.format == "TIFF" else nullcontext():
        image.load()
    upright = _UPRIGHT.get(_orientation(image))
    factor = math.ceil(math.sqrt(image.width * image.height / LARGE))
    if factor > 1:
        large, image = image, _smaller(image, factor)
        if ours:
            large.close()  # the caller holds it still
    if image.mode.startswith("I;16"):
        image = Image.fromarray(_from_16_bits(np.asarray(image)))
    elif image.mode in ("I", "F"):
        image = Image.fromarray(_from_open_range(np.asarray(image)))
    elif image.has_transparency_data:
        # La, premultiplied grey, converts to LA alone
        rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        image = Image.new("RGB", image.size, "white")
        image.paste(rgba, mask=rgba.getchannel("A"))
    image = image.convert("RGB")
    return np.array(image if upright is None else image.transpose(upright))


def _smaller(image: Image.Image, factor: int) -> Image.Image:
    if image.mode in _NOT_AVERAGED or ";" in image.mode:
        size = (max(1, image.width // factor), max(1, image.height // factor))
        return image.resize(size, Image.Resampling.NEAREST)
    return image.reduce(factor)


def _orientation(image: Image.Image) -> int:
    try:
        with _without_warnings():
            return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # the pixels are worth having even where the camera's notes are damaged
        return 1


def _from_array(array: np.ndarray, max_pixels: int) -> np.ndarray:
    if array.ndim not in (2, 3) or (array.ndim == 3 and not 1 <= array.shape[2] <= 4) or array.size == 0:
        raise PhotoError(
            f"the array: expected the shape (height, width) or (height, width, 1 to 4 channels), got {array.shape}"
        )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    return _to_rgb(Image.fromarray(_array_to_8_bits(array)), "the array", max_pixels)


def _array_to_8_bits(array: np.ndarray) -> np.ndarray:
    kind = array.dtype.kind
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.uint16:
        return _from_16_bits(array)
    if kind not in "biuf":
        raise PhotoError(f"the array: expected uint8 values, got the type {array.dtype}")
    low, high = array.min(), array.max()
    if not (low >= 0 and high <= 255):  # false for NaN too
        raise PhotoError(f"the array: expected values from 0 to 255 (or 0 to 1), got values from {low} to {high}")
    ceiling = 1 if kind in "bf" and high <= 1 else 255
    return np.rint(array * (255 / ceiling)).astype(np.uint8)


def _from_16_bits(values: np.ndarray) -> np.ndarray:
    return ((values.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def _from_open_range(values: np.ndarray) -> np.ndarray:
    """8 bits of 32-bit integers or floats, which tell nowhere what white is: the least usual ceiling that holds
    them all (1 for floats, 255, 65535), else their own minimum and maximum."""
    ceilings = (1, 255, 65535) if values.dtype.kind == "f" else (255, 65535)
    # A part at a time, since in 64 bits a large photo would take more memory than all else
    parts = np.array_split(values, min(len(values), 1 + values.size // 2**20))

    def finite(part: np.ndarray) -> np.ndarray:
        return np.nan_to_num(part.astype(np.float64), posinf=0.0, neginf=0.0)

    low, high = min(finite(part).min() for part in parts), max(finite(part).max() for part in parts)
    fitting = [ceiling for ceiling in ceilings if low >= 0 and high <= ceiling]
    low, high = (0, fitting[0]) if fitting else (low, high)
    scale = 255 / (high - low or 1)
    return np.concatenate([np.rint((finite(part) - low) * scale).astype(np.uint8) for part in parts])


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep Pillow's remarks on a file's header from the user; the filters are the whole process's, hence the lock."""
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _too_many(name: str, max_pixels: int) -> TooManyPixelsError:
    return TooManyPixelsError(
        f"{name}: the image has more than {min(max_pixels, MAX_PIXELS):,} pixels; make it smaller"
    )


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"not an image that can be read ({_EXPECTED})"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "permission refused"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    if isinstance(error, MemoryError):
        return "not enough memory to open it"
    said = " ".join(str(error).split()) or type(error).__name__
    if "truncated" in said.lower():
        return "the file is truncated; copy or download it again"
    return f"the file is damaged ({said}); copy or download it again"

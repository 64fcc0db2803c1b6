"""Find photos, open any of them safely, and make of one what the encoder sees."""

import glob
import os
import re
import threading
from collections.abc import Callable, Iterable, MutableMapping
from contextlib import closing
from operator import itemgetter
from pathlib import Path

import numpy as np
from PIL import Image

from captioner.data.photo_decoding import (
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
from captioner.data.photo_depth import array_to_8_bits
from captioner.data.photo_kinds import EXTENSIONS, is_read, kind_by_name
from captioner.data.photo_limits import MAX_PIXELS
from captioner.data.photo_process import PhotoOpener, Wanted
from captioner.data.photo_streams import STDIN, TYPED, name_of
from captioner.data.room import DECODING
from captioner.errors import PhotoError as PhotoError
from captioner.errors import TooManyPixelsError as TooManyPixelsError
from captioner.files import current_directory, walk_once
from captioner.processes import can_start

PREPROCESSING = "pillow-bilinear-299-tf"
"""What `preprocess` does, for fingerprints: whatever changes its values must change this name."""

CAPTIONED = ".captioned"
"""What stands before the extension of a copy with a description; folders and patterns leave such copies out."""


_NUMBER = re.compile(r"\d+")


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
    first frame is taken. What the file says of its size is held against `captioner.data.photo_limits` before anything
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
        on_note: takes a line about a file that is odd, and was opened all the same: a JPEG without its end marker.

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


def find_photos(
    paths: Iterable[str], passed_over: MutableMapping[str, int] | None = None
) -> tuple[list[Path], list[str]]:
    """Expand typed paths into photos, in the order named and without duplicates, and complaints.

    A file stays, whatever its extension, and so does "-", standard input. A folder gives the photos in it and in its
    folders, known by their extension, in natural order (2.jpg before 10.jpg), without hidden ones. A glob pattern that
    the shell left alone is expanded. What leads nowhere gives a complaint of one line. Linked folders are followed,
    each folder once.

    Args:
        paths: what the user typed.
        passed_over: counts, by their kinds, the photos in folders that cannot be read (see `photo_kinds.passed_over`).
    """
    photos: dict[str, Path] = {}
    complaints = []
    unread: dict[Path, str] = {}
    paths = list(paths)
    here = current_directory() or Path()
    for typed in paths:
        unread_here: dict[Path, str] = {}
        found, wrong = _expand(typed, unread_here)
        unread |= unread_here
        complaints += wrong
        for photo in found:
            # Paths compare slowly, and there may be a million; those of one argument have one beginning
            place = os.path.normcase(os.path.join(here, photo)) if len(paths) > 1 else str(photo)  # noqa: PTH118
            photos.setdefault(place, photo)
    if passed_over is not None:
        for kind in unread.values():
            passed_over[kind] = passed_over.get(kind, 0) + 1
    return list(photos.values()), complaints


def _expand(typed: str, unread: dict[Path, str]) -> tuple[list[Path], list[str]]:
    path = Path(typed)
    if typed == TYPED:
        return [STDIN], []
    try:
        if typed and path.is_dir():
            photos, complaints = _photos_in(path, unread)
            if not (photos or complaints or unread):
                complaints = [f"{typed}: no photos in this folder (looked for {' '.join(_looked_for())})"]
            return photos, complaints
        if typed and (path.exists() or path.is_symlink()):
            return [path], []
        if not glob.has_magic(typed):
            return [], [f"{typed or repr(typed)}: no such file"]
        return _matching(typed, unread)
    except OSError as error:
        return [], [f"{typed}: {reason(error)}"]


def _matching(pattern: str, unread: dict[Path, str]) -> tuple[list[Path], list[str]]:
    photos: list[Path] = []
    complaints: list[str] = []
    for match in map(Path, sorted(glob.glob(pattern, recursive=True), key=_natural)):
        if match.is_dir():
            inside, wrong = _photos_in(match, unread)
            photos += inside
            complaints += wrong
        elif is_photo(match.name):
            photos.append(match)
        elif kind := unread_kind(match.name):
            unread[match.absolute()] = kind
    if not (photos or complaints or unread):
        complaints = [f"{pattern}: no photos match this pattern"]
    return photos, complaints


def _photos_in(folder: Path, unread: dict[Path, str]) -> tuple[list[Path], list[str]]:
    found: list[tuple[str, Path]] = []
    complaints: list[str] = []

    def unreadable(error: OSError) -> None:
        complaints.append(f"{error.filename}: {reason(error)}")

    for parent, _, files in walk_once(folder, unreadable):
        place = "".join(f"{_natural(part)}\0" for part in Path(parent).parts)
        for name in files:
            if name.startswith("."):
                continue
            if is_photo(name):
                found.append((place + _natural(name), Path(parent, name)))
            elif kind := unread_kind(name):
                unread[Path(parent, name).absolute()] = kind
    found.sort(key=itemgetter(0))
    return [photo for _, photo in found], complaints


def is_photo(name: str) -> bool:
    """Return whether folders and patterns count a file as a photo, by its name."""
    return is_read(kind_by_name(name)) and not _is_copy(name)


def unread_kind(name: str) -> str:
    """Return the kind of a photo that cannot be read, by its file's name; "" where it can be read, or is no photo."""
    kind = kind_by_name(name)
    return "" if not kind or is_read(kind) or _is_copy(name) else kind


def _is_copy(name: str) -> bool:
    return name.lower().rpartition(".")[0].endswith(CAPTIONED)


def _looked_for() -> list[str]:
    return [each for kind, extensions in EXTENSIONS.items() if is_read(kind) for each in extensions]


def _natural(name: str) -> str:
    """Return the key under which "2.jpg" stands before "10.jpg": before each number stands how many digits it has.

    A string, which takes less time to make and to compare than a list, and of which there may be a million.
    """
    return _NUMBER.sub(_ordered, name.casefold())


def _ordered(number: re.Match[str]) -> str:
    digits = str(int(number[0]))
    return f"\1{chr(len(digits))}{digits}\1"


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
            tell = wanted.on_note or (lambda note: None)
            photo = decode(content, structure, DECODING.take, lambda note: tell(f"{name}: {note}"), kept_for(size))
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
            photo = to_rgb(image)  # of TIFF only this tells the orientation, which is then applied already
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

"""Decode a photo's file: upright, in RGB, and smaller where it is very large. Imports no NumPy at once."""

import hashlib
import math
import mmap
import re
import stat
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from captioner.errors import PhotoError, TooManyPixelsError
from captioner.photos.kinds import INSTALL_HEIF, READ, heif_is_installed, kind_by_content, misnamed
from captioner.photos.limits import (
    LARGE,
    MAX_HELD,
    MAX_PIXELS,
    MAX_RAW,
    MAX_SIDE,
    MAX_WORK,
    PLAIN_FILE,
    PLAIN_HELD,
    PLAIN_WORK,
)
from captioner.photos.structure import inspect
from captioner.photos.structure.jpeg_end import endings, lacks_end, without_padding
from captioner.photos.structure.spans import as_file
from captioner.photos.structure.structure import Content, Structure
from captioner.system.printable import in_a_line

EXPECTED = f"expected {READ}"

NO_END = "the file lacks its end marker, but no pixel is missing"
"""A note on a photo that was opened."""

_APART = ("AVIF", "HEIF")
"""Formats whose decoders are never run in this process, where another can be started."""

ReserveMemory = Callable[[int], AbstractContextManager[object]]
"""Waits until so many bytes may be taken for decoding, and holds them for a block."""

_NOT_AVERAGED = ("1", "P", "PA", "LA", "La", "RGBA", "RGBa", "I", "F")
"""Modes whose numbers cannot be averaged, or not without another copy of the picture."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_ODD = re.compile(r"unsupported|not supported|unknown|unrecognized|not available|not implemented", re.IGNORECASE)
"""What decoders say of a file that may be whole, and is of a kind that they do not know."""

_warnings_lock = threading.Lock()


def read_file(path: Path, name: str) -> Content:
    """Return the content of a photo's file, as a map where it is large.

    Raises:
        PhotoError: it is no regular file, or it cannot be read.
    """
    if "\0" in name:
        raise PhotoError(f"{name!r}: no such file")
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise PhotoError(f"{name}: a folder, expected a photo")
    if not stat.S_ISREG(status.st_mode):  # to open a pipe would wait for its other end
        raise PhotoError(f"{name}: not a regular file")
    with path.open("rb") as file:
        if status.st_size <= PLAIN_FILE:
            return file.read()
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def checked(content: Content, name: str, max_pixels: int) -> Structure:
    """Return the structure of a photo's file, which no limit forbids to decode.

    Raises:
        PhotoError: the file is empty, damaged, too large (`TooManyPixelsError`) or no photo.
    """
    if len(content) == 0:
        raise PhotoError(f"{name}: the file is empty")
    try:
        structure = inspect(content)
    except ValueError as error:
        raise PhotoError(f"{name}: the file is damaged ({in_a_line(str(error))}); copy or download it again") from error
    except OverflowError as error:
        text = in_a_line(str(error))
        raise PhotoError(f"{name}: takes too much time to open: {text}; save it anew with another program") from error
    except NotImplementedError as error:
        raise PhotoError(f"{name}: {in_a_line(str(error))}") from error
    if structure is None:
        kind = kind_by_content(bytes(content[:32]))
        found = f"{kind}, which is not read" if kind else "not an image that can be read"
        raise PhotoError(f"{name}: {found} ({EXPECTED})")
    if structure.format == "HEIF" and not heif_is_installed():
        raise PhotoError(f"{name}: HEIC, which needs another library; {INSTALL_HEIF}")
    width, height = structure.size
    if not structure.pixels:
        raise PhotoError(f"{name}: the image has no pixels")
    if structure.pixels > min(max_pixels, MAX_PIXELS):
        raise too_many(name, max_pixels)
    if max(width, height) > MAX_SIDE:
        raise TooManyPixelsError(
            f"{name}: {width:,} x {height:,} pixels; a side may have {MAX_SIDE:,}; make it smaller"
        )
    if structure.raw > MAX_RAW or structure.held + len(content) > MAX_HELD:
        raise TooManyPixelsError(
            f"{name}: takes too much memory to open ({width:,} x {height:,} pixels of this kind); make it smaller"
        )
    if structure.pixels * structure.passes > MAX_WORK:
        raise PhotoError(
            f"{name}: takes too much time to open (a picture of {structure.passes:,} scans); save it anew with another "
            "program"
        )
    return structure


def is_plain(content: Content, structure: Structure) -> bool:
    """Return whether decoding a photo is so cheap that it needs no other process."""
    return (
        structure.format not in _APART
        and len(content) <= PLAIN_FILE
        and max(structure.raw, structure.held) <= PLAIN_HELD
        and structure.pixels * structure.passes <= PLAIN_WORK
    )


@contextmanager
def explaining(name: str, content: Content) -> Iterator[None]:
    """Turn any error from a photo's file into a `PhotoError`, which also says where the extension misleads."""
    try:
        yield
    except TooManyPixelsError:
        raise
    # Decoders raise nearly anything on a broken file: SyntaxError, struct.error, EOFError, zlib.error, ...
    except Exception as error:
        message = str(error) if isinstance(error, PhotoError) else f"{name}: {reason(error)}"
        odd = misnamed(name, bytes(content[:32]))
        raise PhotoError(f"{message}; the file {odd}" if odd else message) from error


def decode(
    content: Content,
    structure: Structure,
    reserve: ReserveMemory,
    on_note: Callable[[str], object],
    smallest: int | None = None,
) -> Image.Image:
    """Decode a photo that was `checked`: upright, in RGB, by a whole factor smaller from `LARGE` pixels on.

    Args:
        content: the file.
        structure: what is in it.
        reserve: waits until there is memory.
        on_note: takes what is odd about a photo that was opened nevertheless.
        smallest: pixels that both sides of a JPEG need to keep; it is decoded to an eighth, a quarter or half of its
            sides where that leaves as many. None for the whole photo.

    Raises:
        Exception: Pillow's decoders raise nearly anything on a damaged file; see `reason`.
    """
    with reserve(structure.held + len(content)):
        if structure.format == "HEIF":
            from captioner.photos.heif import open_heif

            return to_rgb(open_heif(as_file(structure.spans).read()), ours=True)
        if structure.format == "JPEG" and lacks_end(structure.spans[-1]):
            photo = _without_end(structure, smallest)
            on_note(NO_END)
        else:
            photo = _decoded(structure, structure.spans, smallest)
        return turned(photo, structure.orientation)


def _decoded(structure: Structure, spans: Sequence[bytes | memoryview], smallest: int | None) -> Image.Image:
    with without_warnings():
        image = Image.open(as_file(spans), formats=(structure.format,))
    if image.width * image.height > structure.pixels:
        raise ValueError(f"{image.width} x {image.height} pixels where {structure.size} were found")
    if smallest:
        image.draft(None, (smallest, smallest))
    return to_rgb(image, ours=True)


def _without_end(structure: Structure, smallest: int | None) -> Image.Image:
    """Decode a JPEG that lacks only its end marker.

    Raises:
        OSError: more is missing.
    """
    *tables, scans = structure.spans
    spans = [*tables, without_padding(scans)]
    first = b""
    for ending in reversed(endings(spans)):
        photo = _decoded(structure, [*spans, ending], smallest)
        pixels = hashlib.sha256(photo.tobytes()).digest()
        if first and pixels != first:
            break
        first = pixels
    else:
        if first:
            return photo
    raise OSError("the file is truncated")


def turned(photo: Image.Image, orientation: int) -> Image.Image:
    """Return a photo turned upright, given its orientation as EXIF counts."""
    upright = _UPRIGHT.get(orientation)
    return photo if upright is None else photo.transpose(upright)


def to_rgb(image: Image.Image, ours: bool = False) -> Image.Image:
    """Return a Pillow image of any mode in RGB, by a whole factor smaller from `LARGE` pixels on.

    Transparency is laid over white.

    Args:
        image: stays as it is unless it is `ours`.
        ours: whether nobody else holds it.
    """
    factor = math.ceil(math.sqrt(image.width * image.height / LARGE))
    if factor > 1 and ours:  # a JPEG decodes to half its sides sooner than to all; others pass over it
        image.draft(None, (image.width // 2, image.height // 2))
    # Only TIFF remarks on a file while it decodes; the others may decode side by side
    with without_warnings() if image.format == "TIFF" else nullcontext():
        image.load()
    factor = math.ceil(math.sqrt(image.width * image.height / LARGE))
    if factor > 1:
        large, image = image, _smaller(image, factor)
        if ours:
            large.close()  # the caller holds it still
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        image = _in_8_bits(image)
    elif image.has_transparency_data:
        # La, premultiplied grey, converts to LA alone
        rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        image = Image.new("RGB", image.size, "white")
        image.paste(rgba, mask=rgba.getchannel("A"))
    return image.convert("RGB")


def kept_for(size: int | None, shown: int | None = None) -> int | None:
    """Return the pixels that a photo's sides need to be squashed to `size` pixels, and shown with `shown`.

    Twice as many as the square's: what a JPEG decodes to is averaged once more, by `squash`.
    """
    return size and max(2 * size, shown or 0)


def squash(image: Image.Image, size: int, box: tuple[float, float, float, float] | None = None) -> Image.Image:
    """Return the whole photo, or a part of it, as a square of `size` pixels.

    The bilinear filter is widened when it shrinks (antialiased), so that no line between pixels is lost. It goes across
    first and then down, with 8 bits in between: from version 13 on Pillow chooses the order by the photo's shape, which
    rounds otherwise, and features would depend on its version.

    Args:
        image: in RGB.
        size: in pixels.
        box: left, top, right and bottom edge of the part, in pixels.
    """
    left, top, right, bottom = box or (0, 0, image.width, image.height)
    across = image.resize((size, image.height), Image.Resampling.BILINEAR, (left, 0, right, image.height))
    return across.resize((size, size), Image.Resampling.BILINEAR, (0, top, size, bottom))


def orientation_of(image: Image.Image) -> int:
    """Return the orientation of a Pillow image, as EXIF counts; 1 where it has none."""
    try:
        with without_warnings():
            return int(image.getexif().get(0x0112, 1))
    except Exception:  # the pixels are worth having even where the camera's notes are damaged
        return 1


def too_many(name: str, max_pixels: int) -> TooManyPixelsError:
    """Return the error for too many pixels."""
    return TooManyPixelsError(
        f"{name}: the image has more than {min(max_pixels, MAX_PIXELS):,} pixels; make it smaller"
    )


def reason(error: Exception) -> str:
    """Return the meaning for a photo of an exception of Pillow, or of the system."""
    if isinstance(error, UnidentifiedImageError):
        return f"not an image that can be read ({EXPECTED})"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "permission refused"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    message = in_a_line(" ".join(str(error).split())) or type(error).__name__
    if isinstance(error, NotImplementedError) or _ODD.search(message):
        return f"of a kind that is not read ({message}); save it anew as JPEG or PNG"
    if isinstance(error, MemoryError) or "out of memory" in message.lower():
        return "takes too much memory to open; make it smaller"
    if "truncated" in message.lower() or "end of file" in message.lower():
        return "the file is truncated; copy or download it again"
    return f"the file is damaged ({message}); copy or download it again"


@contextmanager
def without_warnings() -> Iterator[None]:
    """Hide Pillow's warnings about a file from the user; the filters are the whole process's, hence the lock."""
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _smaller(image: Image.Image, factor: int) -> Image.Image:
    if image.mode in _NOT_AVERAGED or ";" in image.mode:
        size = (max(1, image.width // factor), max(1, image.height // factor))
        return image.resize(size, Image.Resampling.NEAREST)
    return image.reduce(factor)


def _in_8_bits(image: Image.Image) -> Image.Image:
    import numpy as np

    from captioner.photos.bit_depth import from_16_bits, from_open_range

    values = np.asarray(image)
    return Image.fromarray(from_16_bits(values) if image.mode.startswith("I;16") else from_open_range(values))

"""HEIC pictures, which libheif decodes: part of the extra `heif`, and imported when needed."""

import io

from PIL import Image


def open_heif(content: bytes) -> Image.Image:
    """Return the picture of a HEIC file, upright and with 8 bits a channel; it is decoded here.

    libheif turns and crops it as the file says, and its own limits stay in force.

    Args:
        content: the file, as `captioner.photos.structure` leaves it: with one picture, and without notes.

    Raises:
        ValueError: the file is damaged.
        ImportError: the library is not installed.
    """
    import pi_heif

    return pi_heif.open_heif(io.BytesIO(content), convert_hdr_to_8bit=True).to_pillow()

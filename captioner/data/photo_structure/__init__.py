"""What a photo's file says of its inside, read without decoding a pixel.

A decoder trusts the file: it keeps notes of any size, follows places that lead in circles, and takes the memory that a
header asks for. So each format has a module here that walks the file's parts, keeps those that the pixels need, and
says what decoding them takes; `inspect` chooses between them by the first bytes. Pillow then sees only what was kept.
"""

from collections.abc import Callable

from captioner.data.photo_structure import bmp, gif, jpeg, png, tiff, webp
from captioner.data.photo_structure.structure import Content, Structure

_READERS: tuple[tuple[bytes, Callable[[Content], Structure]], ...] = (
    (b"\xff\xd8", jpeg.inspect),
    (b"\x89PNG\r\n\x1a\n", png.inspect),
    (b"GIF87a", gif.inspect),
    (b"GIF89a", gif.inspect),
    (b"BM", bmp.inspect),
    (b"II*\0", tiff.inspect),
    (b"MM\0*", tiff.inspect),
    (b"II+\0", tiff.inspect),
    (b"MM\0+", tiff.inspect),
)


def inspect(content: Content) -> Structure | None:
    """Return the structure of a photo's file; None where it is no photo of a known format.

    Raises:
        ValueError: the file is damaged; the message says how.
        OverflowError: it has more parts than any photo needs.
    """
    start = bytes(content[:12])
    if start[:4] == b"RIFF" and start[8:] == b"WEBP":
        return webp.inspect(content)
    return next((read(content) for magic, read in _READERS if start.startswith(magic)), None)

"""The structure of a photo's file, read without decoding a pixel.

A decoder trusts the file: it keeps notes of any size, follows places that lead in circles, and takes the memory that a
header asks for. So each format has a module here that walks the file's parts, keeps those that the pixels need, and
says what decoding them takes; `inspect` chooses between them by the first bytes. Pillow then sees only what was kept.
"""

from importlib import import_module
from typing import cast

from captioner.photos.structure.structure import Content, Structure

_READERS = {
    b"\xff\xd8": "jpeg",
    b"\x89PNG\r\n\x1a\n": "png",
    b"GIF87a": "gif",
    b"GIF89a": "gif",
    b"BM": "bmp",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"II+\0": "tiff",
    b"MM\0+": "tiff",
}
_HEIF_BRANDS = {
    *(b"avif", b"avis", b"mif1", b"msf1", b"mif2", b"miaf", b"MA1A", b"MA1B"),
    *(b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"),
}


def inspect(content: Content) -> Structure | None:
    """Return the structure of a photo's file; None where it is no photo of a known format.

    Raises:
        ValueError: the file is damaged; the message says how.
        OverflowError: it has more parts than any photo needs.
        NotImplementedError: it is of a kind that is not read.
    """
    start = bytes(content[:12])
    reader = next((name for magic, name in _READERS.items() if start.startswith(magic)), None)
    if start[:4] == b"RIFF" and start[8:] == b"WEBP":
        reader = "webp"
    if start[4:8] == b"ftyp" and start[8:] in _HEIF_BRANDS:
        reader = "heif"
    if reader is None:
        return None
    # Imported when it is needed: a command that captions one photo spends a tenth of a second on imports as it is
    return cast(Structure, import_module(f"{__name__}.{reader}").inspect(content))

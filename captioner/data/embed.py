"""Write a caption into a photo's own description, where viewers and search look for it, without touching a pixel."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from captioner.data import exif, xmp
from captioner.data.photos import PhotoError
from captioner.files import replacing

_PNG = b"\x89PNG\r\n\x1a\n"
_EXIF_HEAD, _XMP_HEAD = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_SOI, _SOS, _EOI, _APP0, _APP1 = 0xD8, 0xDA, 0xD9, 0xE0, 0xE1
_LARGEST_SEGMENT = 0xFFFF - 2
_PNG_XMP, _PNG_DESCRIPTION = b"XML:com.adobe.xmp", b"Description"
_LARGEST_PACKET = 1 << 24


def embed_caption(photo: Path, output: Path, caption: str) -> None:
    """Write a copy of `photo` with the caption as its EXIF ImageDescription and XMP dc:description.

    The picture is not decoded: its bytes, and all other notes in the file, are copied as they are. In a PNG the caption
    is also its text "Description".

    Args:
        photo: a JPEG or PNG, whatever its name.
        output: where the copy goes, whole or not at all, with the permissions of the photo; may be `photo` itself.
        caption: the text.

    Raises:
        PhotoError: the file is of another format, or damaged, or has no room for it.
        OSError: `output` cannot be written.
    """
    try:
        content, mode = photo.read_bytes(), photo.stat().st_mode
    except OSError as error:
        raise PhotoError(f"{photo}: {error.strerror}") from error
    write: Callable[[bytes, str], bytes]
    if content.startswith(bytes([0xFF, _SOI])):
        write = _in_jpeg
    elif content.startswith(_PNG):
        write = _in_png
    else:
        raise PhotoError(f"{photo}: its format has no description that can be written; expected JPEG or PNG")
    try:
        changed = write(content, caption)
    except (ValueError, struct.error, IndexError, zlib.error) as error:
        raise PhotoError(f"{photo}: the description cannot be written ({error}); the file stays as it is") from error
    output = output.resolve()  # a link's target is changed, not the link
    with replacing(output) as beside:
        beside.write_bytes(changed)
    output.chmod(mode & 0o7777)


def _in_jpeg(content: bytes, caption: str) -> bytes:
    """Put two segments in the place of those that are there, behind the JFIF header."""
    first: list[bytes] = []  # segments, each from its marker on
    others: list[bytes] = []
    tiff = packet = None
    at = 2
    while True:
        if content[at] != 0xFF:
            raise ValueError("damaged: a segment is expected")
        while content[at + 1] == 0xFF:  # markers may be padded
            at += 1
        marker = content[at + 1]
        if marker in (_SOS, _EOI):
            break
        (size,) = struct.unpack_from(">H", content, at + 2)
        segment, body = content[at : at + 2 + size], content[at + 4 : at + 2 + size]
        if size < 2 or len(segment) != 2 + size:
            raise ValueError("damaged: a segment is cut")
        if marker == _APP1 and body.startswith(_EXIF_HEAD) and tiff is None:
            tiff = body.removeprefix(_EXIF_HEAD)
        elif marker == _APP1 and body.startswith(_XMP_HEAD) and packet is None:
            packet = body.removeprefix(_XMP_HEAD)
        elif marker == _APP0 and not others:
            first.append(segment)
        else:
            others.append(segment)
        at += 2 + size
    new = [
        _segment(_EXIF_HEAD + exif.with_description(tiff, caption)),
        _segment(_XMP_HEAD + xmp.with_description(packet, caption)),
    ]
    return b"".join([content[:2], *first, *new, *others, content[at:]])


def _segment(body: bytes) -> bytes:
    if len(body) > _LARGEST_SEGMENT:
        raise ValueError("what other programs keep there leaves no room")
    return struct.pack(">BBH", 0xFF, _APP1, len(body) + 2) + body


def _in_png(content: bytes, caption: str) -> bytes:
    """Put three chunks behind the header, in the place of those that are there."""
    chunks = []
    tiff = packet = None
    at = len(_PNG)
    while at < len(content):
        size, kind = struct.unpack_from(">L4s", content, at)
        body, end = content[at + 8 : at + 8 + size], at + 12 + size
        if end > len(content):
            raise ValueError("damaged: a chunk is cut")
        keyword = body.split(b"\0", 1)[0] if kind in (b"iTXt", b"tEXt", b"zTXt") else b""
        if kind == b"eXIf":
            tiff = body
        elif kind == b"iTXt" and keyword == _PNG_XMP:
            packet = _international_text(body)
        elif keyword != _PNG_DESCRIPTION:
            chunks.append(content[at:end])
        at = end
        if kind == b"IEND":
            break
    new = [
        _chunk(b"eXIf", exif.with_description(tiff, caption)),
        _chunk(b"iTXt", _PNG_XMP + bytes(5) + xmp.with_description(packet, caption)),
        _chunk(b"iTXt", _PNG_DESCRIPTION + bytes(5) + caption.encode()),
    ]
    return b"".join([_PNG, *chunks[:1], *new, *chunks[1:], content[at:]])


def _international_text(body: bytes) -> bytes:
    """Return the text of an iTXt chunk: keyword, compression, language, keyword in that language, text."""
    _, rest = body.split(b"\0", 1)
    _, _, text = rest[2:].split(b"\0", 2)
    if rest[0]:
        text = zlib.decompressobj().decompress(text, _LARGEST_PACKET)
    return text


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))

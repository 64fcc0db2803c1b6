"""Write a caption into a photo's metadata, where viewers and search look for it, without changing a pixel."""

import struct
import zlib
from enum import Enum
from pathlib import Path

from captioner.errors import PhotoError
from captioner.photos.metadata import exif, iptc, jpeg_notes, png_notes, xmp
from captioner.photos.metadata.descriptions import with_caption, written_by_people
from captioner.system.atomic import atomic_write

Notes = jpeg_notes.JpegNotes | png_notes.PngNotes


class Existing(Enum):
    """The treatment of a description that is there: keep it, replace it by the caption, or add the caption to it."""

    KEEP = "keep"
    REPLACE = "replace"
    APPEND = "append"


def embed_caption(photo: Path, output: Path, caption: str, existing: Existing = Existing.KEEP) -> bool:
    """Describe a copy of `photo` with the caption: in EXIF, XMP, and IPTC where there are IPTC data, alike.

    These are ImageDescription, dc:description and Caption-Abstract; in a PNG also its text "Description". The picture
    is not decoded: its bytes, and all other notes in the file, are copied as they are. A copy that is there is changed
    like a photo, unless descriptions are replaced. Nothing is written where all is as it should be.

    Args:
        photo: a JPEG or PNG, whatever its name.
        output: where the copy goes, whole or not at all, with the permissions of the photo; may be `photo` itself.
        caption: the text.
        existing: what to do with a description that somebody wrote (`captioner.photos.metadata.descriptions`).

    Returns:
        Whether another description than the caption was kept.

    Raises:
        PhotoError: the file is of another format, or damaged, or has no room for it.
        OSError: `output` cannot be written.
    """
    made = existing is not Existing.REPLACE and output.exists()
    source = output if made else photo
    content = _read(source)
    try:
        notes = _apart(content, source)
        there = written_by_people(_places(notes))
        kept = bool(there) and existing is Existing.KEEP
        text = with_caption(there, caption) if existing is Existing.APPEND else caption
        if not kept and _places(notes) != _complete(notes, text):
            _describe(notes, text, existing)
            content = notes.together()
        elif source == output:
            return kept and there != caption
    except (ValueError, struct.error, IndexError, zlib.error) as error:
        raise PhotoError(f"{source}: the description cannot be written ({error}); the file stays as it is") from error
    output = output.resolve()  # a link's target is changed, not the link
    with atomic_write(output, mode=source.stat().st_mode) as temporary:
        temporary.write_bytes(content)
    return kept and there != caption


def is_described(photo: Path) -> bool:
    """Return whether somebody described a photo, or a run before this one; False where that cannot be read."""
    try:
        return bool(written_by_people(_places(_apart(_read(photo), photo))))
    except (PhotoError, ValueError, struct.error, IndexError, zlib.error):
        return False


def _read(photo: Path) -> bytes:
    try:
        return photo.read_bytes()
    except OSError as error:
        raise PhotoError(f"{photo}: {error.strerror}") from error


def _apart(content: bytes, photo: Path) -> Notes:
    if content.startswith(jpeg_notes.START):
        return jpeg_notes.JpegNotes(content)
    if content.startswith(png_notes.START):
        return png_notes.PngNotes(content)
    raise PhotoError(f"{photo}: its format has no description that can be written; expected JPEG or PNG")


def _places(notes: Notes) -> list[str | None]:
    """Return what each place says, the one first that photo managers show first; None where there is no place."""
    shown = None if notes.resources is None else iptc.caption(notes.resources)
    return [shown, *xmp.descriptions(notes.packet), exif.description(notes.tiff), notes.text]


def _complete(notes: Notes, text: str) -> list[str | None]:
    """Return what `_places` gives once a photo has its description."""
    shown = None if notes.resources is None or iptc.caption(notes.resources) is None else text
    own = text if isinstance(notes, png_notes.PngNotes) else None
    return [shown, text, text, own]


def _describe(notes: Notes, text: str, existing: Existing) -> None:
    notes.tiff = exif.with_description(notes.tiff, text)
    notes.packet = xmp.with_description(notes.packet, text, other_languages=existing is not Existing.REPLACE)
    if notes.resources is not None:
        notes.resources = iptc.with_caption(notes.resources, text)
    if isinstance(notes, png_notes.PngNotes):
        notes.text = text

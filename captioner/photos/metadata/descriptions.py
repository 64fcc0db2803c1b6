"""The descriptions that a photo's file already has, and the addition of a caption to them."""

import re
from collections.abc import Iterable

BY_CAMERAS = (
    *("OLYMPUS DIGITAL CAMERA", "MINOLTA DIGITAL CAMERA", "KONICA MINOLTA DIGITAL CAMERA", "SONY DSC"),
    *("SAMSUNG DIGITAL CAMERA", "SAMSUNG CAMERA PICTURES", "SAMSUNG", "KODAK Digital Still Camera"),
    *("Exif_JPEG_PICTURE", "DCIM", "default"),
)
"""What cameras and drones write into every photo, letter for letter. Nobody wrote it about this one."""

_FOLDER_OF_A_CAMERA = re.compile(r"DCIM[\\/]\S*")
_NOT_IN_XML = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def written_by_people(places: Iterable[str | None]) -> str:
    """Join the different descriptions of a photo, a line each, without those that another one has in it.

    Blank ones and what cameras write (`BY_CAMERAS`, and names such as DCIM/100MEDIA) are none.

    Args:
        places: what each place in the file says, the one first that programs show first; None where there is no place.

    Returns:
        Their text, "" if there is none.
    """
    texts: list[str] = []
    for place in places:
        text = _NOT_IN_XML.sub("", place or "").strip()
        if not text or text in BY_CAMERAS or _FOLDER_OF_A_CAMERA.fullmatch(text):
            continue
        if any(_one_line(text) in _one_line(other) for other in texts):
            continue
        texts = [other for other in texts if _one_line(other) not in _one_line(text)]
        texts.append(text)
    return "\n".join(texts)


def with_caption(text: str, caption: str) -> str:
    """Add a caption to a description as a separate line, unless its words are in there already."""
    words = re.escape(_one_line(caption))
    if re.search(rf"(?<!\w){words}(?!\w)", _one_line(text), re.IGNORECASE):
        return text
    return f"{text}\n{caption}" if text else caption


def _one_line(text: str) -> str:
    return " ".join(text.split())

"""The kinds of photos: those that can be read, and those that are recognised but cannot."""

import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path

EXTENSIONS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png",),
    "GIF": (".gif",),
    "WebP": (".webp",),
    "AVIF": (".avif", ".avifs"),
    "HEIC": (".heic", ".heif", ".hif", ".heics", ".heifs"),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
}
"""The extensions of the kinds that are read."""

_UNREAD = {
    "JPEG XL": (".jxl",),
    "JPEG 2000": (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
    "JPEG XR": (".jxr", ".wdp", ".hdp"),
    "camera raw": (
        *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos"),
        *(".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"),
    ),
    "Netpbm": (".pbm", ".pgm", ".pnm", ".ppm"),
    "Photoshop": (".psb", ".psd"),
}

READ = "JPEG, PNG, GIF, WebP, AVIF, HEIC, BMP or TIFF"
"""The kinds that are read, in words."""

HEIF_PACKAGE = "pi_heif"
INSTALL_HEIF = "to read HEIC: pip install -r requirements-heif.txt, or '.[heif]', in Captioner's folder"

_OF_EXTENSION = {each: kind for kinds in (EXTENSIONS, _UNREAD) for kind, named in kinds.items() for each in named}
_STARTS = {
    b"\xff\xd8": "JPEG",
    b"\x89PNG": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"II\xbc\x01": "JPEG XR",
    b"FUJIFILMCCD-RAW": "camera raw",
    b"IIU\0": "camera raw",
    b"IIRO": "camera raw",
    b"IIRS": "camera raw",
    b"MMOR": "camera raw",
    b"FOVb": "camera raw",
    b"8BPS": "Photoshop",
    b"II": "TIFF",
    b"MM": "TIFF",
}
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"crx ": "camera raw"}


@cache
def heif_is_installed() -> bool:
    """Return whether the library that reads HEIC is installed."""
    return find_spec(HEIF_PACKAGE) is not None


def kind_by_name(name: str) -> str:
    """Return the kind of photo that a file's extension stands for; "" where it stands for none."""
    return _OF_EXTENSION.get(os.path.splitext(name)[1].lower(), "")  # noqa: PTH122  # a folder may have a million


def kind_by_content(start: bytes) -> str:
    """Return the kind of photo that begins with these 32 bytes or more; "" where none is known."""
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WebP"
    if start[4:8] == b"ftyp":
        brand = start[8:12]
        return _BRANDS.get(brand, "HEIC" if brand[:2] in (b"he", b"mi", b"ms") else "")
    if start[:4] == b"II*\0" and start[8:10] == b"CR":
        return "camera raw"
    return next((kind for magic, kind in _STARTS.items() if start.startswith(magic)), "")


def is_read(kind: str) -> bool:
    """Return whether photos of a kind can be read with the libraries that are installed."""
    return kind in EXTENSIONS and (kind != "HEIC" or heif_is_installed())


def passed_over(kind: str, count: int) -> str:
    """Return the message that photos of a kind are not read, and what to do."""
    photos = f"{count:,} {kind} photo{'' if count == 1 else 's'} not read"
    remedy = f"save {'it' if count == 1 else 'them'} as JPEG or PNG"
    return f"{photos}; {INSTALL_HEIF if kind == 'HEIC' else remedy}"


def misnamed(name: str, start: bytes) -> str:
    """Return "is HEIC though named .jpg" where a file's extension stands for another kind; "" where it does not."""
    named, found = kind_by_name(name), kind_by_content(start)
    # Most raw formats are kinds of TIFF
    if not named or not found or named == found or (named, found) == ("camera raw", "TIFF"):
        return ""
    return f"is {found} though named {Path(name).suffix}"

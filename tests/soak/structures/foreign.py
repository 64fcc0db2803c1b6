"""Files that are no photos, under a photo's name: each is refused at once."""

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator

from .case import MEGABYTE, Case
from .streams import deflated


def _zip() -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jpg", bytes(50 * MEGABYTE))
    return into.getvalue()


def _tar() -> bytes:
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w:gz") as archive:
        member = tarfile.TarInfo("a.jpg")
        member.size = 20 * MEGABYTE
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    return into.getvalue()


def cases() -> Iterator[Case]:
    """All files of other formats."""
    made = {
        "ico": lambda: b"\0\0\1\0\xff\xff" + struct.pack("<BBBBHHLL", 0, 0, 0, 0, 1, 32, 2**31, 22) * 65_535,
        "cur": lambda: b"\0\0\2\0\1\0" + struct.pack("<BBBBHHLL", 0, 0, 0, 0, 1, 32, 2**31, 22) + bytes(1_000),
        "icns": lambda: b"icns" + struct.pack(">L", 4 * MEGABYTE) + b"ic10\0\0\0\x08" * 500_000,
        "eps": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 90000 90000\n{} loop\n" + b"%" * MEGABYTE,
        "ps": lambda: b"%!PS\n%%BoundingBox: 0 0 10 10\n" + b"%%x: y\n" * 500_000,
        "pdf": lambda: b"%PDF-1.7\n" + b"1 0 obj << /Type /Page >> endobj\n" * 100_000 + b"%%EOF",
        "psd": lambda: b"8BPS\0\1" + bytes(6) + struct.pack(">HLLHH", 4, 30_000, 30_000, 8, 3) + bytes(12),
        "svg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg">' + b"<g>" * 1_000_000,
        "ppm": lambda: b"P6\n13000 13000\n255\n" + bytes(1_000),
        "xpm": lambda: b"/* XPM */\nstatic char *x[] = {\n" + b'"a",\n' * 500_000,
        "tga": lambda: bytes([0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 32, 0]) + bytes(MEGABYTE),
        "pcx": lambda: b"\n\5\1\x08\0\0\0\0\xff\x7f\xff\x7f" + bytes(MEGABYTE),
        "fits": lambda: b"SIMPLE  =                    T".ljust(80) + b"COMMENT".ljust(80) * 50_000,
        "jp2": lambda: b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0\0\0\x08free" * 500_000,
        "j2k": lambda: b"\xff\x4f\xff\x51\0\x2f\0\0" + struct.pack(">LLLLLLLL", 2**31, 2**31, 0, 0, 1, 1, 0, 0),
        "dds": lambda: b"DDS " + struct.pack("<LLLL", 124, 7, 60_000, 60_000) + bytes(200),
        "heic": lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0\0\0\x08free" * 500_000,
        "mp4": lambda: b"\0\0\0\x18ftypisom\0\0\0\0isomavc1" + b"\0\0\0\x08free" * 500_000,
        "zip": _zip,
        "tar": _tar,
        "gzip": lambda: zlib.compress(bytes(30 * MEGABYTE)),
        "gzip_bomb": lambda: deflated(bytes(100_000), 20_000),
        "text": lambda: b"lorem ipsum " * 300_000,
        "zeros": lambda: bytes(20 * MEGABYTE),
        "ones": lambda: b"\xff" * (20 * MEGABYTE),
    }
    for word, make in made.items():
        yield Case("foreign", f"foreign-{word}.jpg", lambda draw, m=make: m())

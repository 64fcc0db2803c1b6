"""Photos lie in the graph as they lie for `predict`, whatever tells it."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from captioner.export.orientation import jpeg_orientation, png_orientation
from captioner.photos.structure import inspect

KINDS = {1: "B", 3: "H", 4: "L", 6: "b", 8: "h", 9: "l"}
XMP = b"http://ns.adobe.com/xap/1.0/\0"


def graph(function):
    return tf.function(function, input_signature=[tf.TensorSpec((), tf.string)], autograph=False)


in_jpeg, in_png = graph(jpeg_orientation), graph(png_orientation)


def expected(file):
    """What `predict` finds; 1 where it refuses the file."""
    try:
        return inspect(file).orientation or 1
    except (ValueError, OverflowError, NotImplementedError):
        return 1


def exif(value, kind=3, order=">", before=2, count=1):
    """EXIF data with so many other entries before the orientation."""
    entries = [struct.pack(f"{order}HHLL", 0x100 + number, 4, 1, 6) for number in range(before)]
    entries.append(
        struct.pack(f"{order}HHL", 0x0112, kind, count) + struct.pack(order + KINDS[kind], value).ljust(4, b"\0")
    )
    head = (b"MM" if order == ">" else b"II") + struct.pack(f"{order}HL", 42, 8)
    return head + struct.pack(f"{order}H", len(entries)) + b"".join(entries) + bytes(4)


def packet(told):
    return b"<x:xmpmeta>\xff\xfe <rdf:Description " + told + b"/></x:xmpmeta>"


def jpeg(*notes):
    """A JPEG with notes behind its first marker: bodies of APP1, or (marker, body), or raw bytes in a list."""
    file = io.BytesIO()
    Image.new("RGB", (16, 8)).save(file, "JPEG")
    parts = []
    for note in notes:
        if isinstance(note, list):
            parts += note
            continue
        marker, body = note if isinstance(note, tuple) else (0xE1, note)
        parts.append(bytes([0xFF, marker]) + struct.pack(">H", 2 + len(body)) + body)
    return b"\xff\xd8" + b"".join(parts) + file.getvalue()[2:]


def png(*chunks):
    """A PNG with chunks behind its header."""
    file = io.BytesIO()
    Image.new("RGB", (16, 8)).save(file, "PNG")
    made = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    ]
    return file.getvalue()[:33] + b"".join(made) + file.getvalue()[33:]


def international(told, flag=0, language=b"en"):
    return b"iTXt", b"XML:com.adobe.xmp\0" + bytes([flag, 0]) + language + b"\0\0" + packet(told)


EXIF = b"Exif\0\0"
SIX, THREE = b"tiff:Orientation='6'", b"tiff:Orientation='3'"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0, 1, 3, 8, 9])
def test_every_kind_of_number(order, kind, value):
    file = jpeg(EXIF + exif(value, kind, order))
    assert in_jpeg(file).numpy() == expected(file) == (value if 1 <= value <= 8 else 1)
    file = png((b"eXIf", exif(value, kind, order)))
    assert in_png(file).numpy() == expected(file) == (value if 1 <= value <= 8 else 1)


@pytest.mark.parametrize(
    ("notes", "number"),
    [
        ([EXIF + exif(-3, 8)], 1),
        ([EXIF + exif(0x10006, 4)], 1),
        ([EXIF + exif(6, count=2)], 1),
        ([EXIF + exif(6)[:-7]], 1),  # cut within the number
        ([EXIF + exif(6), EXIF + exif(3)], 6),
        ([EXIF + exif(0), EXIF + exif(3)], 3),
        ([[b"\xff\xff\xff"], EXIF + exif(6)], 6),  # FF bytes before a marker
        ([[b"nothing"], EXIF + exif(6)], 6),
        ([[b"\xff\x01\xff\xd0"], EXIF + exif(6)], 6),  # markers without a length
        ([(0xE2, b"ICC_PROFILE\0" + bytes(65000))] * 3 + [EXIF + exif(6)], 6),
        ([(0xFE, EXIF + exif(6))], 1),  # a comment
        ([XMP + packet(SIX)], 6),
        ([XMP + packet(b"><tiff:Orientation> 8</tiff:Orientation")], 8),
        ([XMP + packet(SIX), EXIF + exif(3)], 3),
        ([EXIF + exif(0), XMP + packet(SIX)], 6),
        ([XMP, XMP + packet(SIX)], 6),
        ([XMP + packet(b""), XMP + packet(SIX)], 1),  # the first packet counts
        ([XMP + packet(b"tiff:Orientation='0' " + SIX)], 1),
        ([XMP + packet(b"tiff:Orientation=" + b" " * 20 + b"'6'")], 1),
        ([XMP + b"tiff:Orientation="], 1),
    ],
)
def test_notes_of_a_jpeg(notes, number):
    file = jpeg(*notes)
    assert in_jpeg(file).numpy() == expected(file) == number


@pytest.mark.parametrize(
    ("chunks", "number"),
    [
        ([(b"eXIf", exif(6)), (b"eXIf", exif(3))], 6),
        ([(b"eXIf", exif(0)), (b"eXIf", exif(3))], 3),
        ([(b"tEXt", b"a\0b"), international(SIX)], 6),
        ([international(SIX), (b"eXIf", exif(3))], 3),
        ([international(SIX, language=b""), international(THREE)], 6),
        ([international(SIX, language=b"e" * 300)], 1),
        ([(b"iTXt", b"Comment\0\0\0\0\0" + SIX)], 1),
    ],
)
def test_notes_of_a_png(chunks, number):
    file = png(*chunks)
    assert in_png(file).numpy() == expected(file) == number


def test_compressed_notes_of_a_png_are_not_read():
    body = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(packet(SIX))
    file = png((b"iTXt", body))
    assert (in_png(file).numpy(), expected(file)) == (1, 6)


@pytest.mark.long
@pytest.mark.parametrize(
    ("read", "file"),
    [
        (in_jpeg, jpeg((0xE2, b"colours"), XMP + packet(SIX), EXIF + exif(5, before=4))),
        (in_jpeg, jpeg((0xE2, b"colours"), EXIF + exif(5, 4, "<"))),
        (in_png, png(international(SIX), (b"eXIf", exif(5, before=4)))),
    ],
)
def test_damaged_notes_are_read_alike(read, file):
    draw = np.random.default_rng(5)
    told = set()
    for _ in range(200):
        damaged = bytearray(file)
        for place in draw.integers(
            33 if read is in_png else 2, file.index(b"IDAT" if read is in_png else b"\xff\xdb"), 2
        ):
            damaged[place] = draw.choice([0, 1, 6, 8, 0xD9, 0xDA, 0xE1, 0xFF, draw.integers(256)])
        try:
            inspect(bytes(damaged))
        except (ValueError, OverflowError, NotImplementedError):  # no photo; it need only end
            assert 1 <= read(bytes(damaged)).numpy() <= 8
            continue
        told.add(int(read(bytes(damaged)).numpy()))
        assert read(bytes(damaged)).numpy() == expected(bytes(damaged)), bytes(damaged)
    assert len(told) > 1


@pytest.mark.long
@pytest.mark.parametrize("read", [in_jpeg, in_png])
def test_a_file_that_is_cut_anywhere(read):
    file = jpeg(EXIF + exif(6)) if read is in_jpeg else png((b"eXIf", exif(6)))
    for length in range(120):
        assert read(file[:length]).numpy() in (1, 6)

"""What each format's module keeps of a file, and what it says of it."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from captioner.errors import PhotoError
from captioner.photos.opening import open_photo
from captioner.photos.structure import gif, inspect, structure
from captioner.photos.structure.spans import as_file


def encoded(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def noise(mode="RGB", size=(30, 20)):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4), np.uint8)
    image = Image.fromarray(pixels)
    return image.convert("RGB").convert(mode) if mode != "RGBA" else image


def kept(content):
    return b"".join(bytes(span) for span in inspect(content).spans)


def opened(content, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = Image.open(content if hasattr(content, "read") else io.BytesIO(content), **options)
        image.load()
    return image


def after_start(content, segment, start=2):
    return content[:start] + segment + content[start:]


def segment(marker, body):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def exif(orientation, kind=3, order=">"):
    """EXIF data with one entry."""
    value = struct.pack(f"{order}{ {3: 'HH', 4: 'L'}[kind] }", *((orientation, 0) if kind == 3 else (orientation,)))
    entry = struct.pack(f"{order}HHL", 0x0112, kind, 1) + value
    return {">": b"MM\0*", "<": b"II*\0"}[order] + struct.pack(f"{order}LH", 8, 1) + entry + bytes(4)


XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'

FILES = {
    **{f"JPEG {mode}": encoded(noise(mode), "JPEG") for mode in ("RGB", "L", "CMYK", "YCbCr")},
    "JPEG progressive": encoded(noise(), "JPEG", progressive=True),
    "JPEG restart markers": encoded(noise(), "JPEG", restart_marker_blocks=1),
    "MPO": encoded(noise(), "MPO", save_all=True, append_images=[noise("L")]),
    **{f"PNG {mode}": encoded(noise(mode), "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")},
    "PNG transparent": encoded(noise("P"), "PNG", transparency=3),
    "APNG": encoded(noise(), "PNG", save_all=True, append_images=[noise("L").convert("RGB")]),
    "GIF": encoded(noise("P"), "GIF", transparency=5, comment=b"drawn"),
    "GIF animated": encoded(noise("P"), "GIF", save_all=True, append_images=[noise("L")], loop=0),
    **{f"BMP {mode}": encoded(noise(mode), "BMP") for mode in ("1", "L", "P", "RGB", "RGBA")},
    **{f"WEBP {mode}": encoded(noise(mode), "WEBP") for mode in ("RGB", "RGBA")},
    "WEBP lossless": encoded(noise("RGBA"), "WEBP", lossless=True),
    "WEBP animated": encoded(noise(), "WEBP", save_all=True, append_images=[noise("L").convert("RGB")]),
    **{
        f"TIFF {mode}": encoded(noise(mode), "TIFF")
        for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "F", "I;16")
    },
    **{
        f"TIFF {name}": encoded(noise(), "TIFF", compression=name)
        for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd")
    },
    "TIFF pages": encoded(noise(), "TIFF", save_all=True, append_images=[noise("L")]),
    "BigTIFF": encoded(noise(), "TIFF", big_tiff=True),
    "BigTIFF packed": encoded(noise(), "TIFF", big_tiff=True, compression="tiff_lzw"),
    "TIFF many strips": encoded(noise(size=(300, 200)), "TIFF", strip_size=3000, compression="tiff_lzw"),
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_kept_has_the_same_pixels(name):
    found, expected = inspect(FILES[name]), opened(FILES[name])
    image = opened(as_file(found.spans), formats=(found.format,))
    assert (image.mode, image.size, found.size) == (expected.mode, expected.size, expected.size)
    np.testing.assert_array_equal(np.asarray(image.convert("RGBA")), np.asarray(expected.convert("RGBA")))
    assert found.orientation <= 1
    assert found.raw >= image.width * image.height * (1 / 8 if image.mode == "1" else 1)
    assert found.held >= image.width * image.height


NOTED = {
    "JPEG": lambda note: after_start(FILES["JPEG RGB"], segment(0xE1, b"Exif\0\0" + note) + segment(0xFE, note) * 3),
    "JPEG profile": lambda note: after_start(FILES["JPEG RGB"], segment(0xE2, b"ICC_PROFILE\0\1\1" + note)),
    "PNG": lambda note: after_start(FILES["PNG RGB"], chunk(b"tEXt", b"a\0" + note) + chunk(b"eXIf", note), 33),
    "PNG profile": lambda note: after_start(FILES["PNG RGB"], chunk(b"iCCP", b"a\0\0" + note), 33),
    "PNG behind": lambda note: FILES["PNG RGB"][:-12] + chunk(b"zTXt", note) + FILES["PNG RGB"][-12:],
    "WEBP": lambda note: encoded(noise(), "WEBP", exif=b"Exif\0\0" + note, xmp=note, icc_profile=note),
    "GIF": lambda note: encoded(noise("P"), "GIF", comment=note),
    "TIFF": lambda note: encoded(noise(), "TIFF", tiffinfo=tags(note), xmp=note),
}


def tags(note):
    found = TiffImagePlugin.ImageFileDirectory_v2()
    found[0x010E], found[33723], found.tagtype[33723] = "a scene", note, 7
    return found


@pytest.mark.parametrize("name", NOTED)
def test_notes_are_left_out(name):
    note = b"a note that pixels do not need"
    content = NOTED[name](note)
    assert note in content
    if inspect(content).format == "TIFF":  # the file stays as it is, and nothing leads to them
        image = opened(as_file(inspect(content).spans))
        assert not {0x010E, 33723, 700} & set(image.tag_v2)
    else:
        assert note not in kept(content)
    np.testing.assert_array_equal(open_photo(content), np.asarray(opened(content).convert("RGB")))


@pytest.mark.parametrize(
    "content",
    [
        after_start(FILES["JPEG RGB"], segment(0xE1, b"Exif\0\0" + exif(6))),
        after_start(FILES["JPEG RGB"], segment(0xE1, b"Exif\0\0" + exif(6, 4))),
        after_start(FILES["JPEG RGB"], segment(0xE1, b"Exif\0\0" + exif(6, 4, "<"))),
        after_start(FILES["JPEG RGB"], b"\xff\xff\xff" + segment(0xE1, b"Exif\0\0" + exif(6))),
        after_start(FILES["JPEG RGB"], segment(0xE2, bytes(65_000)) * 3 + segment(0xE1, b"Exif\0\0" + exif(6))),
        after_start(FILES["JPEG RGB"], segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP)),
        after_start(FILES["PNG RGB"], chunk(b"eXIf", exif(6)), 33),
        FILES["PNG RGB"][:-12] + chunk(b"eXIf", exif(6)) + FILES["PNG RGB"][-12:],
        after_start(FILES["PNG RGB"], chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP), 33),
        after_start(FILES["PNG RGB"], chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0en\0x\0" + zlib.compress(XMP)), 33),
        after_start(
            FILES["PNG RGB"],
            chunk(
                b"zTXt",
                b"Raw profile type exif\0\0"
                + zlib.compress(b"\nexif\n      32\n" + (b"Exif\0\0" + exif(6)).hex().encode()),
            ),
            33,
        ),
        encoded(noise(), "WEBP", exif=b"Exif\0\0" + exif(6)),
        encoded(noise(), "WEBP", xmp=XMP),
        encoded(noise(), "TIFF", tiffinfo={0x0112: 6}),
        encoded(noise(), "TIFF", tiffinfo={0x0112: 6}, big_tiff=True),
        encoded(noise(), "TIFF", tiffinfo={700: XMP}),
    ],
    ids=lambda content: f"{content[:4]!r}-{len(content)}",
)
def test_the_orientation_is_found_wherever_it_stands(content):
    assert inspect(content).orientation == 6
    assert open_photo(content).shape == (30, 20, 3)


@pytest.mark.parametrize("note", [b"", b"II", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff", exif(9), exif(0)])
def test_damaged_notes_tell_no_orientation(note):
    assert inspect(after_start(FILES["JPEG RGB"], segment(0xE1, b"Exif\0\0" + note))).orientation == 0


def test_what_a_decoder_keeps_for_later_scans_is_counted():
    # Three components, the last two sampled half as often each way: 1.5 samples a pixel, two bytes of each, four shown
    pixels = 30 * 20
    plain = inspect(FILES["JPEG RGB"])
    several = inspect(FILES["JPEG progressive"])
    assert (plain.raw, plain.held, plain.passes) == (int(1.5 * pixels), 4 * pixels, 1)
    assert (several.raw, several.held) == (int(1.5 * pixels), 7 * pixels)
    assert several.passes == FILES["JPEG progressive"].count(b"\xff\xda") == 10


def test_a_bit_a_pixel_takes_an_eighth_of_a_byte_to_unpack():
    assert inspect(FILES["PNG 1"]).raw == 4 * 20  # 30 bits are 4 bytes
    assert inspect(FILES["PNG I;16"]).raw == 2 * 30 * 20


def test_a_tile_larger_than_the_picture_is_damage():
    content = bytearray(encoded(noise(), "TIFF", compression="tiff_lzw"))
    (start,) = struct.unpack_from("<L", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    entries = [bytes(content[start + 2 + 12 * each : start + 14 + 12 * each]) for each in range(count)]
    entries += [struct.pack("<HHLL", tag, 4, 1, 26_000) for tag in (322, 323)]
    place = len(content)
    content += struct.pack("<H", len(entries)) + b"".join(sorted(entries)) + bytes(4)
    struct.pack_into("<L", content, 4, place)
    with pytest.raises(ValueError, match="a tile of 26,000 x 26,000 pixels in a picture of 30 x 20"):
        inspect(bytes(content))


def test_a_frame_outside_of_a_gif_counts():
    content = bytearray(FILES["GIF"])
    place = content.index(b"\x2c\0\0\0\0" + struct.pack("<HH", 30, 20))
    struct.pack_into("<4H", content, place + 1, 40_000, 50_000, 30, 20)
    assert inspect(bytes(content)).size == (40_030, 50_020)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (after_start(FILES["JPEG RGB"], segment(0xFE, b"") * 60), "segments"),
        (after_start(FILES["PNG RGB"], chunk(b"tEXt", b"") * 60, 33), "chunks"),
        (after_start(FILES["GIF"], b"\x21\xfe\0" * 60, 13 + 768), "blocks"),
        (FILES["WEBP RGB"][:12] + b"JUNK\0\0\0\0" * 60 + FILES["WEBP RGB"][12:], "chunks"),
    ],
    ids=["jpeg", "png", "gif", "webp"],
)
def test_more_parts_than_a_photo_needs_are_refused(monkeypatch, content, what):
    assert inspect(content).size == (30, 20)
    monkeypatch.setattr(structure, "MOST_PARTS", 50)
    with pytest.raises(OverflowError, match=f"more than 50 {what}"):
        inspect(content)


def test_a_note_of_many_blocks_in_a_gif_is_refused(monkeypatch):
    content = after_start(FILES["GIF"], b"\x21\xfe" + b"\x01a" * 60 + b"\0", 13 + 768)
    assert inspect(content).size == (30, 20)
    monkeypatch.setattr(gif, "_MOST_LINKS", 50)
    with pytest.raises(OverflowError, match="a note in it has more than 50 parts"):
        inspect(content)


def test_many_bytes_before_a_marker_take_no_time_each():
    content = after_start(FILES["JPEG RGB"], b"\xff" * 2_000_000 + b"\0")
    np.testing.assert_array_equal(open_photo(content), open_photo(FILES["JPEG RGB"]))


def test_a_lossless_jpeg_is_not_read():
    content = FILES["JPEG RGB"].replace(b"\xff\xc0", b"\xff\xc3", 1)
    with pytest.raises(PhotoError, match="the image: a lossless JPEG, which is not read; save it anew as JPEG or PNG"):
        open_photo(content)


def test_other_files_have_no_structure():
    assert inspect(b"%PDF-1.7 and so on") is None
    assert inspect(b"") is None

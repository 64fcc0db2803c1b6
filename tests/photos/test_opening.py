import io
import os
import struct
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captioner.errors import PhotoError, TooManyPixelsError
from captioner.photos import decoding as photo_decoding
from captioner.photos.limits import MAX_PIXELS
from captioner.photos.opening import open_photo
from captioner.photos.preprocessing import preprocess

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


def solid(mode, colour, size=(8, 6)):
    return Image.new(mode, size, colour)


def encoded(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def noise(seed=0, shape=(64, 64, 3)):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8))


def png(width, height, depth=8, colour_type=2, data=b""):
    """A PNG written by hand, with whatever its header claims."""

    def chunk(kind, payload):
        return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("image", "expected", "tolerance"),
    [
        (solid("RGB", RED), RED, 0),
        (solid("L", 77), (77, 77, 77), 0),
        (solid("1", 1), WHITE, 0),
        (solid("1", 0), BLACK, 0),
        (solid("LA", (0, 0)), WHITE, 0),
        (solid("LA", (40, 255)), (40, 40, 40), 0),
        (solid("LA", (0, 51)), (204, 204, 204), 1),
        (solid("La", (0, 51)), (204, 204, 204), 1),
        (solid("RGBA", (255, 0, 0, 255)), RED, 0),
        (solid("RGBA", (0, 0, 0, 0)), WHITE, 0),
        (solid("RGBA", (0, 0, 255, 51)), (204, 204, 255), 1),
        (solid("RGBa", (0, 0, 51, 51)), (204, 204, 255), 1),
        (solid("RGBX", (255, 0, 0, 0)), RED, 0),
        (solid("RGB", GREEN).convert("P"), GREEN, 0),
        (solid("RGB", GREEN).convert("P").convert("PA"), GREEN, 0),
        (solid("CMYK", (0, 255, 255, 0)), RED, 0),
        (solid("CMYK", (0, 0, 0, 255)), BLACK, 0),
        (solid("RGB", RED).convert("YCbCr"), RED, 2),
        (solid("RGB", BLUE).convert("HSV"), BLUE, 2),
        (solid("LAB", (255, 128, 128)), WHITE, 3),
        (solid("I;16", 32768), (128, 128, 128), 0),
        (solid("I;16B", 65535), WHITE, 0),
        (solid("I", 32768), (128, 128, 128), 0),
        (solid("I", 200), (200, 200, 200), 0),
        (solid("F", 0.5), (128, 128, 128), 0),
        (solid("F", 200.0), (200, 200, 200), 0),
        (solid("F", float("nan")), BLACK, 0),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else None,
)
def test_every_mode_gives_the_colour_that_it_shows(image, expected, tolerance):
    photo = open_photo(image)
    assert (photo.shape, photo.dtype) == ((6, 8, 3), np.uint8)
    np.testing.assert_allclose(photo.astype(int), np.broadcast_to(expected, photo.shape), atol=tolerance)


def test_32_bit_values_beyond_16_bits_are_stretched_from_their_minimum_to_their_maximum():
    image = Image.fromarray(np.array([[-100_000, 0, 100_000]], np.int32))
    assert open_photo(image)[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "MPO"])
def test_each_format_opens_from_a_path_and_from_bytes(format, tmp_path):
    content = encoded(solid("RGB", RED), format)
    path = tmp_path / "photo"  # the content tells the format, not the name
    path.write_bytes(content)
    for source in (path, str(path), content):
        np.testing.assert_allclose(open_photo(source).astype(int), np.broadcast_to(RED, (6, 8, 3)), atol=3)


def test_a_cmyk_jpeg_is_not_inverted():
    # Adobe's programs, and Pillow with them, store the complement
    np.testing.assert_allclose(
        open_photo(encoded(solid("CMYK", (0, 255, 255, 0)), "JPEG")).astype(int),
        np.broadcast_to(RED, (6, 8, 3)),
        atol=3,
    )


def test_a_16_bit_png_is_scaled_not_clipped():
    row = struct.pack(">3H", 0, 32768, 65535)
    photo = open_photo(png(3, 1, depth=16, colour_type=0, data=b"\0" + row))
    assert photo[0].tolist() == [[0] * 3, [128] * 3, [255] * 3]


def test_a_palette_colour_marked_transparent_becomes_white():
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    for transparency in (0, b"\0\xff"):  # by index, or an alpha for each colour
        photo = open_photo(encoded(image, "PNG", transparency=transparency))
        assert photo[0].tolist() == [list(WHITE), list(BLUE)]


def test_a_colour_marked_transparent_becomes_white_without_a_palette():
    content = encoded(Image.fromarray(np.uint8([[RED, BLUE]])), "PNG", transparency=RED)
    assert open_photo(content)[0].tolist() == [list(WHITE), list(BLUE)]


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_an_animation(format):
    options = {"lossless": True} if format == "WEBP" else {}
    content = encoded(solid("RGB", RED), format, save_all=True, append_images=[solid("RGB", BLUE)], **options)
    assert Image.open(io.BytesIO(content)).n_frames == 2
    assert (open_photo(content) == RED).all()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize(
    ("orientation", "stored_as"),
    [
        (1, lambda upright: upright),
        (2, lambda upright: upright[:, ::-1]),
        (3, lambda upright: upright[::-1, ::-1]),
        (4, lambda upright: upright[::-1]),
        (5, lambda upright: upright.transpose(1, 0, 2)),
        (6, lambda upright: np.rot90(upright, 1)),
        (7, lambda upright: np.rot90(upright, 2).transpose(1, 0, 2)),
        (8, lambda upright: np.rot90(upright, -1)),
    ],
)
def test_every_exif_orientation_comes_upright(format, orientation, stored_as):
    # Three corners differ, and the sides differ in length: no two orientations look alike
    upright = np.full((24, 40, 3), 255, np.uint8)
    upright[:12, :20], upright[:12, 20:], upright[12:, :20] = RED, GREEN, BLUE
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}.get(format, {})
    content = encoded(Image.fromarray(np.ascontiguousarray(stored_as(upright))), format, exif=exif, **options)
    photo = open_photo(content)
    assert photo.shape == upright.shape
    np.testing.assert_allclose(photo[::4, 2::4].astype(int), upright[::4, 2::4].astype(int), atol=12)


def test_damaged_exif_does_not_cost_the_photo():
    content = encoded(solid("RGB", RED), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert open_photo(content).shape == (6, 8, 3)


def test_a_pillow_image_stays_as_it_was():
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.open(io.BytesIO(encoded(solid("RGB", RED), "JPEG", exif=exif)))
    assert open_photo(image).shape == (8, 6, 3)
    assert open_photo(image).shape == (8, 6, 3)
    assert image.size == (8, 6)


def test_one_pixel():
    assert open_photo(encoded(solid("RGB", BLUE, (1, 1)), "PNG")).tolist() == [[list(BLUE)]]


@pytest.mark.parametrize(
    "array",
    [
        np.full((2, 3), 128, np.uint8),
        np.full((2, 3, 1), 128, np.uint8),
        np.dstack([np.full((2, 3), 128, np.uint8), np.full((2, 3), 255, np.uint8)]),
        np.full((2, 3, 3), 128, np.uint8),
        np.dstack([np.full((2, 3, 3), 128, np.uint8), np.full((2, 3), 255, np.uint8)]),
        np.full((2, 3, 3), 32768, np.uint16),
        np.full((2, 3, 3), 128, np.int64),
        np.full((2, 3, 3), 128, np.float32),
        np.full((2, 3, 3), 0.5, np.float32),
    ],
    ids=lambda array: f"{array.dtype}-{array.shape}",
)
def test_arrays(array):
    photo = open_photo(array)
    assert (photo.shape, photo.dtype) == ((2, 3, 3), np.uint8)
    assert (photo == 128).all()


def test_arrays_of_truth_values_and_with_alpha():
    assert open_photo(np.array([[True, False]]))[0].tolist() == [list(WHITE), list(BLACK)]
    assert (open_photo(np.zeros((2, 2, 4), np.uint8)) == 255).all()


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (np.zeros(3, np.uint8), r"expected the shape \(height, width\) .* got \(3,\)"),
        (np.zeros((1, 2, 2, 3), np.uint8), r"got \(1, 2, 2, 3\)"),
        (np.zeros((2, 2, 5), np.uint8), r"got \(2, 2, 5\)"),
        (np.zeros((0, 2, 3), np.uint8), r"got \(0, 2, 3\)"),
        (np.full((2, 2), -1), "values from -1 to -1"),
        (np.full((2, 2), 256.0), "values from 256.0 to 256.0"),
        (np.full((2, 2), np.nan), "values from nan to nan"),
        (np.full((2, 2), "red"), "expected uint8 values, got the type <U3"),
    ],
)
def test_arrays_that_are_no_photo(array, complaint):
    with pytest.raises(PhotoError, match="the array: .*" + complaint):
        open_photo(array)


EXPECTED = r"not an image that can be read \(expected JPEG, PNG, GIF, WebP, AVIF, HEIC, BMP or TIFF\)"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "the file is empty"),
        (b"not a photo at all\n", EXPECTED),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", EXPECTED),
        (encoded(solid("RGB", RED), "PPM"), EXPECTED),
        (encoded(noise(), "JPEG")[:2000], "the file is truncated; copy or download it again"),
        (encoded(noise(), "BMP")[:2000], "the file is truncated; copy or download it again"),
        (encoded(noise(), "PNG")[:2000], "the file is (truncated|damaged .*); copy or download it again"),
        (encoded(noise(), "GIF")[:2000], "the file is (truncated|damaged .*); copy or download it again"),
        (encoded(noise(), "TIFF")[:2000], "the file is truncated; copy or download it again"),
        (encoded(noise(), "WEBP")[:2000], f"{EXPECTED}|the file is damaged .*"),
    ],
    ids=["empty", "text", "eps", "ppm", "jpeg", "bmp", "png", "gif", "tiff", "webp"],
)
def test_a_file_that_is_no_whole_photo_is_refused_with_the_reason(content, complaint, tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(PhotoError, match=rf"photo\.jpg: ({complaint})(; the file is \w+ though named \.jpg)?$"):
        open_photo(path)
    with pytest.raises(PhotoError, match=rf"^the image: ({complaint})$"):
        open_photo(content)


def test_a_photo_cut_or_changed_anywhere_opens_or_is_refused(tmp_path):
    random = np.random.default_rng(1)
    for format in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"):
        content = encoded(noise(shape=(16, 16, 3)), format)
        for _ in range(40):
            broken = bytearray(content[: random.integers(1, len(content) + 1)])
            broken[random.integers(len(broken))] = random.integers(256)
            try:
                photo = open_photo(bytes(broken))
            except PhotoError as error:
                assert "\n" not in str(error)  # noqa: PT017
            else:
                assert photo.dtype == np.uint8
                assert photo.ndim == 3


def test_too_many_pixels_are_refused_by_the_header(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(30_000, 30_000))
    start = time.perf_counter()
    with pytest.raises(PhotoError, match=r"bomb\.png: the image has more than 178,956,970 pixels"):
        open_photo(path)
    assert time.perf_counter() - start < 0.5


def test_our_limit_holds_where_the_limit_of_pillow_is_lifted(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(PhotoError, match="more than 178,956,970 pixels"):
        open_photo(png(30_000, 30_000))


@pytest.mark.parametrize("form", [np.asarray, Image.fromarray, lambda array: encoded(Image.fromarray(array), "PNG")])
def test_a_lower_limit_can_be_set(form):
    photo = form(np.zeros((20, 30, 3), np.uint8))
    assert open_photo(photo, max_pixels=600).shape == (20, 30, 3)
    with pytest.raises(TooManyPixelsError, match="the image has more than 599 pixels; make it smaller"):
        open_photo(photo, max_pixels=599)


def test_a_limit_is_not_raised():
    with pytest.raises(TooManyPixelsError, match="more than 178,956,970 pixels"):
        open_photo(png(30_000, 30_000), max_pixels=10**12)


def test_the_limit_is_that_of_pillow():
    assert 2 * Image.MAX_IMAGE_PIXELS == MAX_PIXELS


def test_large_but_allowed_gives_no_warning():
    # 100 million pixels: Pillow warns, and a warning fails this test; the missing pixels then show that it went on
    with pytest.raises(PhotoError, match="truncated"):
        open_photo(png(10_000, 10_000, depth=1, colour_type=0))


def test_threads_leave_the_warning_filters_as_they_were():
    before = list(warnings.filters)
    contents = [encoded(noise(seed), format) for seed in range(10) for format in ("JPEG", "PNG", "TIFF")]
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(open_photo, contents))
    assert warnings.filters == before
    for content, photo in zip(contents, opened, strict=True):
        np.testing.assert_array_equal(photo, open_photo(content))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(PhotoError, match=r"pipe\.jpg: not a regular file"):
        open_photo(tmp_path / "pipe.jpg")


def test_paths_that_lead_nowhere(tmp_path, monkeypatch):
    with pytest.raises(PhotoError, match=r"missing\.jpg: no such file"):
        open_photo(tmp_path / "missing.jpg")
    with pytest.raises(PhotoError, match="a folder, expected a photo"):
        open_photo(tmp_path)
    with pytest.raises(PhotoError, match="no such file"):
        open_photo("a\0b.jpg")

    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "secret.jpg").write_bytes(b"x")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PhotoError, match=r"secret\.jpg: permission refused"):
        open_photo(tmp_path / "secret.jpg")


def test_running_out_of_memory_is_told(monkeypatch):
    def exhausted(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(photo_decoding, "to_rgb", exhausted)
    with pytest.raises(PhotoError, match="the image: takes too much memory to open"):
        open_photo(encoded(solid("RGB", RED), "PNG"))


def rle(side):
    """A packed BMP whose lines all end early, so that its decoder fills them byte by byte, in Python."""
    body = b"\1\5\0\0" * side + b"\0\1"
    header = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(body), 1, 1, 256, 0)
    start = 14 + len(header) + 1024
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + header + bytes(1024) + body


@pytest.mark.parametrize(
    ("limit", "value", "complaint"),
    [
        ("MAX_RAW", 1799, r"takes too much memory to open \(30 x 20 pixels"),
        ("MAX_HELD", 2399, r"takes too much memory to open \(30 x 20 pixels"),
        ("MAX_SIDE", 29, "30 x 20 pixels; a side may have 29"),
        ("MAX_WORK", 599, r"takes too much time to open \(a picture of 1 scans\)"),
    ],
)
def test_what_a_file_says_is_held_against_each_limit(monkeypatch, limit, value, complaint):
    content = encoded(noise(shape=(20, 30, 3)), "PNG")
    assert open_photo(content).shape == (20, 30, 3)
    monkeypatch.setattr(photo_decoding, limit, value)
    with pytest.raises(PhotoError, match=complaint):
        open_photo(content)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I", "F", "I;16", "YCbCr"])
@pytest.mark.parametrize("size", [(90, 50), (60, 300)])
def test_a_large_photo_comes_smaller_and_looks_the_same(monkeypatch, mode, size):
    step = Image.new("L", size, 0)
    step.paste(255, (0, 0, size[0] // 2, size[1]))
    image = step.convert(mode) if mode != "I;16" else Image.fromarray(np.asarray(step).astype(np.uint16) * 257)
    small = preprocess(open_photo(image), 8)
    content = encoded(image, {"CMYK": "TIFF", "I": "TIFF", "F": "TIFF"}.get(mode, "PNG")) if mode != "YCbCr" else image
    monkeypatch.setattr(photo_decoding, "LARGE", 1000)
    for source in (image, content):
        photo = open_photo(source)
        assert photo.shape[0] * photo.shape[1] <= 1200
        np.testing.assert_allclose(preprocess(photo, 8)[:, [0, 1, 6, 7]], small[:, [0, 1, 6, 7]], atol=0.05)
    assert image.size == size


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_jpeg_is_decoded_smaller_and_upright(monkeypatch, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.new("RGB", (400, 200), BLUE)
    image.paste(RED, (0, 0, 200, 200))
    content = encoded(image, "JPEG", exif=exif, quality=95)
    before = preprocess(open_photo(content), 8)
    monkeypatch.setattr(photo_decoding, "LARGE", 20_000)
    photo = open_photo(content)
    assert photo.shape == {1: (100, 200, 3), 6: (200, 100, 3)}[orientation]
    np.testing.assert_allclose(preprocess(photo, 8), before, atol=0.1)


def text_chunk(name, body, checksum=None):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", checksum or zlib.crc32(name + body))


def segment(marker, body):
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


PNG, JPEG = encoded(noise(), "PNG"), encoded(noise(), "JPEG")
LARGE = zlib.compress(bytes(3_000_000))


@pytest.mark.parametrize(
    ("content", "place", "note"),
    [
        (PNG, 33, text_chunk(b"tEXt", b"Comment\0hello", 1)),
        (PNG, 33, text_chunk(b"tEXt", b"no keyword at all")),
        (PNG, 33, text_chunk(b"zTXt", b"Comment\0\0" + LARGE)),
        (PNG, 33, text_chunk(b"zTXt", b"Comment\0\7" + LARGE)),
        (PNG, 33, text_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + LARGE)),
        (PNG, 33, text_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0not packed")),
        (PNG, 33, text_chunk(b"iCCP", b"profile\0\0" + LARGE)),
        (PNG, 33, text_chunk(b"iCCP", b"profile\0\7broken")),
        (PNG, 33, text_chunk(b"iCCP", b"")),
        (PNG, 33, text_chunk(b"pHYs", b"\0")),
        (PNG, 33, text_chunk(b"gAMA", b"") + text_chunk(b"cHRM", b"\1") + text_chunk(b"sRGB", b"")),
        (PNG, 33, text_chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff", 1)),
        (PNG, 33, text_chunk(b"acTL", b"\0\0\0\0\0\0\0\0")),
        (PNG, 33, text_chunk(b"tRNS", bytes(6), 1)),
        (PNG, 33, text_chunk(b"tRNS", b"")),
        (PNG, 33, text_chunk(b"PLTE", bytes(12), 1) + text_chunk(b"tRNS", b"", 1)),
        (
            PNG,
            33,
            text_chunk(b"tIME", b"", 1) + text_chunk(b"sBIT", b"\x09", 1) + text_chunk(b"caBX", bytes(2_000_000), 1),
        ),
        (PNG, -12, text_chunk(b"tRNS", bytes(6), 1)),
        (PNG, -12, text_chunk(b"zTXt", b"Comment\0\0" + LARGE)),
        (JPEG, 2, segment(0xE2, b"MPF\0" + b"MM\0*\0\0\0\x08\xff\xff")),
        (JPEG, 2, segment(0xE2, b"MPF\0II")),
        (JPEG, 2, segment(0xE2, b"ICC_PROFILE\0\x09\x02broken")),
        (JPEG, 2, segment(0xE2, b"ICC_PROFILE\0")),
        (JPEG, 2, segment(0xE1, b"Exif\0\0MM")),
        (JPEG, 2, segment(0xED, b"Photoshop 3.0\x008BIM\xff\xff\xff")),
        (JPEG, 2, segment(0xEE, b"Ado")),
    ],
    ids=lambda value: repr(value[:22]) if isinstance(value, bytes) else str(value),
)
def test_no_note_stops_a_picture(content, place, note):
    changed = content[:place] + note + content[place:]
    notes = []
    np.testing.assert_array_equal(open_photo(changed, on_note=notes.append), open_photo(content))
    assert notes == []


def test_a_file_that_is_whole_is_not_to_be_downloaded_again():
    header = struct.pack("<IiiHHIIiiII", 40, 4, 4, 1, 24, 99, 48, 1, 1, 0, 0)  # packed in a way that nobody knows
    content = b"BM" + struct.pack("<IHHI", 102, 0, 0, 54) + header + bytes(48)
    for file in (content, b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40), b"\xff\x0a" + bytes(40)):
        with pytest.raises(PhotoError) as refused:
            open_photo(file)
        assert "download" not in str(refused.value)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError("Unsupported BMP compression (99)"), "of a kind that is not read (Unsupported BMP compression (99))"),
        (NotImplementedError("Unimplemented DDS"), "of a kind that is not read (Unimplemented DDS)"),
        (SyntaxError("unknown pixel mode"), "of a kind that is not read (unknown pixel mode)"),
    ],
)
def test_a_kind_that_a_decoder_does_not_know_is_no_damage(error, said):
    assert photo_decoding.reason(error) == f"{said}; save it anew as JPEG or PNG"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jpg", b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40), "JPEG XL, which is not read .*; the file is JPEG XL though"),
        ("a.JPG", encoded(noise(), "PNG")[:2000], "the file is truncated.*; the file is PNG though named .JPG"),
        ("a.png", JPEG[:900], "the file is truncated.*; the file is JPEG though named .png"),
        ("a.jpeg", JPEG[:900], "the file is truncated; copy or download it again"),
        ("a", JPEG[:900], "the file is truncated; copy or download it again"),
    ],
)
def test_a_wrong_extension_is_told_where_a_photo_cannot_be_read(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PhotoError, match=f"{name}: {said}"):
        open_photo(tmp_path / name)


@pytest.mark.parametrize(
    ("size", "decoded"),
    [
        pytest.param(12, (50, 25), id="an eighth"),
        pytest.param(13, (100, 50), id="an eighth would be less than twice the square"),
        pytest.param(26, (200, 100), id="half"),
        pytest.param(51, (400, 200), id="whole"),
        pytest.param(None, (400, 200), id="not squashed"),
    ],
)
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_jpeg_that_is_squashed_is_decoded_to_twice_the_square_or_more(monkeypatch, size, decoded, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = Image.new("RGB", (400, 200), BLUE)
    photo.paste(RED, (0, 0, 200, 200))
    content = encoded(photo, "JPEG", exif=exif, quality=95)
    sizes, turned = [], photo_decoding.turned
    monkeypatch.setattr(
        photo_decoding, "turned", lambda image, degrees: sizes.append(image.size) or turned(image, degrees)
    )
    pixels = open_photo(content, size=size)
    assert sizes == [decoded]
    whole = open_photo(content)
    if size is None:
        np.testing.assert_array_equal(pixels, whole)
    else:
        expected = np.asarray(photo_decoding.squash(Image.fromarray(whole), size))
        np.testing.assert_allclose(pixels.astype(int), expected, atol=12)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_of_any_kind_is_decoded_smaller(mode, progressive):
    photo = noise(shape=(64, 64, 3)).resize((640, 480)).convert(mode)
    content = encoded(photo, "JPEG", progressive=progressive, quality=95)
    expected = np.asarray(photo_decoding.squash(Image.fromarray(open_photo(content)), 32))
    np.testing.assert_allclose(open_photo(content, size=32).astype(int), expected, atol=16)


def test_a_jpeg_without_its_end_is_decoded_smaller_too():
    content = encoded(noise().resize((640, 480)), "JPEG")
    notes = []
    pixels = open_photo(content.removesuffix(b"\xff\xd9"), size=32, on_note=notes.append)
    np.testing.assert_array_equal(pixels, open_photo(content, size=32))
    assert len(notes) == 1


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "BMP"])
def test_other_formats_are_decoded_whole(format):
    content = encoded(noise(shape=(300, 400, 3)), format)
    expected = np.asarray(photo_decoding.squash(Image.fromarray(open_photo(content)), 16))
    np.testing.assert_array_equal(open_photo(content, size=16), expected)

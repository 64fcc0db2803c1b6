import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from captioner.export.photos import preprocess, read_photos
from captioner.photos import preprocessing as pillow
from captioner.photos.opening import open_photo

SIZE = 96


@pytest.fixture(scope="module")
def read():
    function = tf.function(
        lambda files: read_photos(files, SIZE), input_signature=[tf.TensorSpec((None,), tf.string)], autograph=False
    )
    return lambda *files: function(tf.constant(files, tf.string, (len(files),))).numpy()


@pytest.fixture(scope="module")
def photo():
    """Something like the detail of a photo, 180 x 130 pixels, with soft and hard edges."""
    coarse = np.random.default_rng(3).integers(0, 256, (13, 18, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((180, 130), Image.Resampling.BICUBIC)
    image.paste((250, 5, 90), (20, 30, 61, 83))
    return image


@pytest.fixture(scope="module")
def see_through(photo):
    """The photo with every kind of transparency."""
    image = photo.copy()
    image.putalpha(Image.fromarray(np.arange(180 * 130, dtype=np.uint8).reshape(130, 180)))
    return image


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(depth, colours, row, width, extra=b""):
    """A PNG of one row, of the kinds that Pillow does not write."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, 1, depth, colours, 0, 0, 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            extra,
            chunk(b"IDAT", zlib.compress(b"\0" + row)),
            chunk(b"IEND", b""),
        ]
    )


def steps(images):
    """Images in [-1, 1] as what they were made of, 0 to 255."""
    return np.rint((images + 1) * 127.5)


def assert_as_pillow_reads(read, *files):
    for found, file in zip(read(*files), files, strict=True):
        expected = pillow.preprocess(open_photo(file), SIZE)
        assert found.dtype == expected.dtype
        apart = np.abs(steps(found) - steps(expected))
        assert apart.max() <= 1
        assert apart.mean() < 0.06  # most where numbers fall on halves, as of a few grey values made larger
        np.testing.assert_allclose(found, np.float32(steps(found)) / np.float32(127.5) - 1, atol=1e-6)


def test_jpegs_of_all_kinds_in_one_batch(read, photo):
    assert_as_pillow_reads(
        read,
        encoded(photo, "JPEG"),
        encoded(photo, "JPEG", quality=30, subsampling=2),
        encoded(photo, "JPEG", subsampling=0, progressive=True),
        encoded(photo.convert("L"), "JPEG"),
        encoded(photo.convert("CMYK"), "JPEG"),
        encoded(photo.resize((31, 7)), "JPEG"),
        encoded(photo.resize((700, 500)), "JPEG"),
    )


def test_pngs_of_all_kinds_in_one_batch(read, photo, see_through):
    few = photo.quantize(4)
    assert_as_pillow_reads(
        read,
        encoded(photo, "PNG"),
        encoded(see_through, "PNG"),
        encoded(photo.convert("L"), "PNG"),
        encoded(see_through.convert("LA"), "PNG"),
        encoded(photo.convert("1"), "PNG"),
        encoded(photo.quantize(64), "PNG"),
        encoded(few, "PNG"),
        encoded(few, "PNG", transparency=bytes([9, 99, 199, 255])),
        encoded(photo.convert("L"), "PNG", transparency=100),
        encoded(photo.resize((1, 1)), "PNG"),
        encoded(photo.resize((SIZE, SIZE)), "PNG"),
    )


def test_pngs_of_2_4_and_16_bits(read):
    wide = np.arange(12, dtype=np.uint16) * 5461 + 77
    assert_as_pillow_reads(
        read,
        png(2, 0, bytes([0b00011011, 0b11001001]), 8),
        png(4, 0, bytes(range(3, 243, 30)), 16),
        png(16, 0, wide.astype(">u2").tobytes(), 12),
        png(16, 2, wide.astype(">u2").tobytes(), 4),
        png(16, 4, wide.astype(">u2").tobytes(), 6),
        png(16, 6, wide.astype(">u2").tobytes(), 3),
    )


def test_pixels_are_pillows_to_the_bit(read, photo):
    """Of the encoder's size nothing is resized, and all that could differ is the decoder."""
    square = photo.resize((SIZE, SIZE))
    for file in (encoded(square, "JPEG"), encoded(square, "JPEG", quality=20), encoded(square, "PNG")):
        np.testing.assert_array_equal(steps(read(file)[0]), open_photo(file))


def test_hardly_a_number_differs_by_resizing(photo):
    pixels = np.asarray(photo)
    apart = np.abs(steps(preprocess(tf.constant(pixels), SIZE)) - steps(pillow.preprocess(pixels, SIZE)))
    assert apart.max() <= 1
    assert apart.mean() < 0.005


@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_a_jpeg_is_turned_upright(read, photo, byte_order):
    files = []
    for number in range(10):  # 0 and 9 mean nothing
        exif = Image.Exif()
        exif.endian = byte_order
        exif[0x010E], exif[0x0110], exif[0x0112] = "in front of it", "a camera", number
        files.append(encoded(photo, "JPEG", exif=exif, comment=b"and a comment"))
    assert_as_pillow_reads(read, *files)


def test_files_that_are_no_photos_are_counted(read, photo):
    good = encoded(photo, "JPEG")
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"expected the bytes of JPEG or PNG files.*\[1 3 4\]"):
        read(good, encoded(photo, "WEBP"), encoded(photo, "PNG"), b"", encoded(photo, "GIF"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_damaged_photo_is_an_error(read, photo, kind):
    file = encoded(photo, kind)
    for length in (8, 30, len(file) // 2):
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"(?i){kind}"):
            read(file, file[:length])


def test_no_photos(read):
    assert read().shape == (0, SIZE, SIZE, 3)

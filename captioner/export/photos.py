"""Photos inside a TensorFlow graph: `photos.opening` for JPEG and PNG, held equal to it by a test."""

from typing import Any

import tensorflow as tf

from captioner.export.orientation import jpeg_orientation, png_orientation, upright

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_DEPTH, _COLOURS = 24, 25  # places in a PNG's header: bits a channel, and the kind of colours, of which 0 is grey
_HEAD = 26

_EXPECTED = "photos: expected the bytes of JPEG or PNG files; those of the batch that are none, counted from 0:"


def read_photos(files: Any, size: int) -> Any:
    """Make of photos, string (B,), the encoder's input: float32 (B, size, size, 3) in [-1, 1].

    The orientation in EXIF data or XMP is applied, except for notes that a PNG compresses. Other formats are refused:
    TensorFlow reads no WebP or TIFF, and GIF and BMP with wrong colours at times.

    Raises, when the graph runs:
        InvalidArgumentError: some files are no photos; the message has their places in the batch. For a photo that is
            damaged farther in, it is the decoder's own, without the place.
    """
    heads = tf.strings.substr(files + tf.constant(b"\0" * _HEAD), 0, _HEAD)  # (B,)
    jpeg, png = (tf.equal(tf.strings.substr(heads, 0, len(start)), start) for start in (_JPEG, _PNG))
    wrong = tf.where(~(jpeg | png))[:, 0]
    check = tf.debugging.Assert(tf.equal(tf.size(wrong), 0), [_EXPECTED, wrong], summarize=1000)
    with tf.control_dependencies([check]):
        heads = tf.identity(heads)
    return tf.map_fn(
        lambda photo: preprocess(_decode(*photo), size),
        (files, heads, jpeg),
        fn_output_signature=tf.TensorSpec((size, size, 3), tf.float32),
    )


def preprocess(photo: Any, size: int) -> Any:
    """Resize as `photos.preprocessing.preprocess` does: uint8 (H, W, 3) -> float32 (size, size, 3) in [-1, 1].

    Pillow filters along the rows, rounds, filters along the columns and rounds again. It adds up in fixed point and
    TensorFlow in float32, so that one number in 600 comes out different, by 1 of 255, seldom by 2.
    """
    photo = tf.image.resize(photo, (tf.shape(photo)[0], size), antialias=True)  # bilinear
    photo = tf.image.resize(tf.floor(photo + 0.5), (size, size), antialias=True)
    return tf.floor(photo + 0.5) / 127.5 - 1.0


def _decode(file: Any, head: Any, is_jpeg: Any) -> Any:
    """Return a photo's pixels, uint8 (H, W, 3)."""
    return tf.cond(
        is_jpeg,
        # Pillow's algorithm, to the bit; TensorFlow's own choice is faster, and off by 1 of 255 on average.
        lambda: upright(tf.io.decode_jpeg(file, channels=3, dct_method="INTEGER_ACCURATE"), jpeg_orientation(file)),
        lambda: upright(_decode_png(file, tf.cast(tf.io.decode_raw(head, tf.uint8), tf.int32)), png_orientation(file)),
    )


def _decode_png(file: Any, head: Any) -> Any:
    depth = head[_DEPTH]
    is_grey_16 = tf.equal(depth, 16) & tf.equal(head[_COLOURS], 0)
    return tf.cond(is_grey_16, lambda: _grey_of_16_bits(file), lambda: _over_white(file, depth))


def _grey_of_16_bits(file: Any) -> Any:
    grey = tf.cast(tf.io.decode_png(file, channels=1, dtype=tf.uint16), tf.int32)  # (H, W, 1)
    return tf.cast(tf.repeat((grey * 255 + 32767) // 65535, 3, axis=-1), tf.uint8)


def _over_white(file: Any, depth: Any) -> Any:
    """Lay a PNG over white, rounding as Pillow does."""
    rgba = tf.cast(tf.io.decode_png(file, channels=4), tf.int32)  # (H, W, 4)
    colours, alpha = rgba[..., :3], rgba[..., 3:]
    # Where a PNG of 1, 2 or 4 bits has no transparency, TensorFlow makes it opaque with 1, 3 or 15 in place of 255.
    opaque = tf.reduce_all(tf.equal(alpha, tf.bitwise.left_shift(1, depth) - 1))
    alpha = tf.where(opaque, 255, alpha)
    mixed = colours * alpha + 255 * (255 - alpha) + 128
    return tf.cast((mixed // 256 + mixed) // 256, tf.uint8)

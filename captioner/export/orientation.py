"""Turn a JPEG's pixels upright inside a TensorFlow graph, whose decoders do not know of the EXIF orientation."""

from typing import Any

import tensorflow as tf

_READ = 1 << 17
"""Bytes from the beginning of a file in which its EXIF data are looked for; they have 64 KiB at most."""

_APP1, _SCAN = 0xE1, 0xDA
_TAG = 0x0112


def upright(photo: Any, file: Any) -> Any:
    """Turn a JPEG's pixels as the EXIF orientation in its bytes, string (), tells: (H, W, 3) -> (H or W, W or H, 3)."""
    number = exif_orientation(file)
    photo = tf.cond(number >= 5, lambda: tf.transpose(photo, (1, 0, 2)), lambda: photo)
    down, right = (
        tf.where(tf.reduce_any(tf.equal(number, mirrored)), -1, 1) for mirrored in ([3, 4, 7, 8], [2, 3, 6, 7])
    )
    return tf.ensure_shape(photo[::down, ::right], (None, None, 3))


def exif_orientation(file: Any) -> Any:
    """Return the orientation that a JPEG, string (), has in its EXIF data: int32 (), from 1, which is upright, to 8.

    1 where there are no such data, or damaged ones.
    """
    content = tf.cast(tf.io.decode_raw(tf.strings.substr(file, 0, _READ), tf.uint8), tf.int32)
    size = tf.size(content)
    content = tf.concat([content, [0]], axis=0)  # what is read behind the end is 0

    def at(places: Any) -> Any:
        return tf.gather(content, tf.where((places >= 0) & (places < size), places, size))

    def big_endian(places: Any) -> Any:
        return 256 * at(places) + at(places + 1)

    def is_exif(segment: Any) -> Any:
        begins = tf.reduce_all(tf.equal(at(segment + tf.range(4, 10)), list(b"Exif\0\0")))
        return tf.equal(at(segment + 1), _APP1) & begins

    def go_on(segment: Any) -> Any:
        is_header = tf.equal(at(segment), 0xFF) & tf.not_equal(at(segment + 1), _SCAN)
        return is_header & ~is_exif(segment)

    (segment,) = tf.while_loop(go_on, lambda segment: (segment + 2 + big_endian(segment + 2),), (tf.constant(2),))
    tiff = segment + 10
    little_endian = tf.equal(at(tiff), ord("I"))

    def number(places: Any) -> Any:
        return tf.where(little_endian, at(places) + 256 * at(places + 1), big_endian(places))

    first = tiff + tf.where(little_endian, number(tiff + 4), number(tiff + 6))  # of the table's two halves, the low one
    entries = first + 2 + 12 * tf.range(number(first))
    found = number(tf.boolean_mask(entries, tf.equal(number(entries), _TAG)) + 8)
    found = tf.concat([found, [1]], axis=0)[0]
    return tf.where(is_exif(segment) & (found >= 1) & (found <= 8), found, 1)

"""Turn a photo's pixels upright inside a TensorFlow graph, whose decoders do not know how it lies.

What `photos.structure` finds with loops over bytes is found with operations on all of them. Held equal by a test.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from captioner.photos.metadata.exif import ORIENTATION

Note = Callable[[Any, Any], Any]
"""Reads the orientation from the bytes of a file between two offsets: int64 (); 0 where they have none."""

_MARKER, _END_OF_IMAGE, _SCAN, _APP1 = 0xFF, 0xD9, 0xDA, 0xE1
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_PNG_XMP = b"XML:com.adobe.xmp\0"
_TAG, _BETWEEN = b"tiff:Orientation", b" \t\r\n=\"'>"
_AFTER_TAG = 20  # bytes
_BEFORE_TEXT = 200  # bytes in which a PNG names the language of a text
_WORTH = {1: 1, 6: 1, 3: 2, 8: 2, 4: 4, 9: 4}
"""Bytes of a number, by its kind in EXIF data; one from 1 to 8 is the same with a sign."""


def upright(photo: Any, number: Any) -> Any:
    """Turn pixels by an orientation, int (): (H, W, 3) -> (H or W, W or H, 3)."""
    photo = tf.cond(number >= 5, lambda: tf.transpose(photo, (1, 0, 2)), lambda: photo)
    down, right = (
        tf.where(tf.reduce_any(tf.equal(number, tf.constant(mirrored, number.dtype))), -1, 1)
        for mirrored in ([3, 4, 7, 8], [2, 3, 6, 7])
    )
    return tf.ensure_shape(photo[::down, ::right], (None, None, 3))


def jpeg_orientation(file: Any) -> Any:
    """Return the orientation in the notes of a JPEG, string (): int64 (), from 1, which is upright, to 8.

    EXIF data come before XMP. 1 where there are neither, or damaged ones.
    """
    content = _Content(file)
    before, after = content.bytes[:-1], content.bytes[1:]
    pairs = tf.equal(before, _MARKER) & tf.not_equal(after, 0) & tf.not_equal(after, _MARKER)
    # Whatever stands before a marker is passed over, any number of FF bytes too
    markers = tf.concat([tf.where(pairs)[:, 0], [content.size]], axis=0)

    def next_marker(place: Any) -> Any:
        return markers[tf.searchsorted(markers, [tf.minimum(place, content.size)])[0]]

    def go_on(marker: Any, exif: Any, xmp: Any) -> Any:
        kind = content.number(marker + 1, 1)
        return (marker < content.size) & tf.not_equal(kind, _END_OF_IMAGE) & tf.not_equal(kind, _SCAN)

    def look(marker: Any, exif: Any, xmp: Any) -> tuple[Any, Any, Any]:
        kind, start = content.number(marker + 1, 1), marker + 2
        bare = tf.equal(kind, 0x01) | ((kind >= 0xD0) & (kind <= 0xD8))
        end = start + tf.maximum(content.number(start, 2), 2)
        is_note = tf.equal(kind, _APP1)
        is_exif = is_note & tf.equal(exif, 0) & content.has(start + 2, _EXIF)
        exif = _where(is_exif, content.exif, start + 2 + len(_EXIF), end, exif)
        is_xmp = is_note & (xmp < 0) & content.has(start + 2, _XMP) & (end > start + 2 + len(_XMP))
        xmp = _where(is_xmp, content.xmp, start + 2 + len(_XMP), end, xmp)
        return next_marker(tf.where(bare, start, end)), exif, xmp

    begin = (next_marker(tf.constant(2, tf.int64)), tf.constant(0, tf.int64), tf.constant(-1, tf.int64))
    _, exif, xmp = tf.while_loop(go_on, look, begin)
    return _first_found(exif, xmp)


def png_orientation(file: Any) -> Any:
    """Return the orientation in the notes of a PNG, string (): int64 (), from 1, which is upright, to 8.

    EXIF data come before XMP. Notes that are compressed are not read. 1 where there are no others, or damaged ones.
    """
    content = _Content(file)

    def go_on(place: Any, exif: Any, xmp: Any) -> Any:
        return (place + 8 <= content.size) & ~content.has(place + 4, b"IEND")

    def look(place: Any, exif: Any, xmp: Any) -> tuple[Any, Any, Any]:
        start = place + 8
        end = start + content.number(place, 4)
        is_exif = tf.equal(exif, 0) & content.has(place + 4, b"eXIf")
        exif = _where(is_exif, content.exif, start, end, exif)
        is_xmp = (xmp < 0) & content.has(place + 4, b"iTXt") & content.has(start, _PNG_XMP)
        xmp = _where(is_xmp, content.png_xmp, start + len(_PNG_XMP), end, xmp)
        return end + 4, exif, xmp

    begin = (tf.constant(33, tf.int64), tf.constant(0, tf.int64), tf.constant(-1, tf.int64))
    _, exif, xmp = tf.while_loop(go_on, look, begin)
    return _first_found(exif, xmp)


class _Content:
    """The bytes of a file, uint8 (size,), and what parts of them say; bytes beyond the end are 0."""

    def __init__(self, file: Any) -> None:
        self.bytes = tf.io.decode_raw(file, tf.uint8)
        self.size = tf.size(self.bytes, tf.int64)
        self._padded = tf.concat([self.bytes, tf.zeros(1, tf.uint8)], axis=0)

    def at(self, offsets: Any) -> Any:
        """Return the bytes at places, int64 of any shape."""
        inside = (offsets >= 0) & (offsets < self.size)
        return tf.cast(tf.gather(self._padded, tf.where(inside, offsets, self.size)), tf.int64)

    def number(self, offsets: Any, count: int, little_endian: Any = False) -> Any:
        """Return the numbers of so many bytes at places."""
        digits = self.at(offsets[..., None] + tf.range(count, dtype=tf.int64))
        digits = tf.where(little_endian, digits, tf.reverse(digits, [-1]))
        return tf.reduce_sum(digits * [256**place for place in range(count)], axis=-1)

    def has(self, place: Any, text: bytes) -> Any:
        """Return whether a text stands at a place."""
        found = self.at(place + tf.range(len(text), dtype=tf.int64))
        return tf.reduce_all(tf.equal(found, tf.constant(list(text), tf.int64)))

    def exif(self, start: Any, end: Any) -> Any:
        """Read a `Note` that is EXIF data, as `photos.metadata.exif.orientation` does."""
        end = tf.minimum(end, self.size)
        little = self.has(start, b"II")
        known = little | self.has(start, b"MM")
        table = start + self.number(start + 4, 4, little)
        known &= (start + 8 <= end) & (table + 2 <= end)
        entries = table + 2 + 12 * tf.range(tf.where(known, self.number(table, 2, little), 0))
        entries = tf.boolean_mask(entries, entries + 8 <= end)
        sizes = self._sizes(self.number(entries + 2, 2, little))
        wanted = tf.equal(self.number(entries, 2, little), ORIENTATION) & (sizes > 0)
        wanted &= tf.equal(self.number(entries + 4, 4, little), 1)
        values = tf.zeros_like(entries)
        for count in sorted(set(_WORTH.values())):
            values = tf.where(tf.equal(sizes, count), self.number(entries + 8, count, little), values)
        values = tf.where((entries + 8 + sizes <= end) & (values >= 1) & (values <= 8), values, 0)
        return tf.concat([tf.boolean_mask(values, wanted), [0]], axis=0)[0]

    def _sizes(self, kinds: Any) -> Any:
        sizes = tf.zeros_like(kinds)
        for kind, count in _WORTH.items():
            sizes = tf.where(tf.equal(kinds, kind), tf.constant(count, tf.int64), sizes)
        return sizes

    def xmp(self, start: Any, end: Any) -> Any:
        """Read a `Note` that is an XMP packet, as `photos.metadata.xmp_orientation.orientation` does."""
        end = tf.minimum(end, self.size)
        offsets = tf.range(start, tf.maximum(start, end - len(_TAG) + 1))
        for number, letter in enumerate(_TAG):
            offsets = tf.boolean_mask(offsets, tf.equal(self.at(offsets + number), letter))
        offsets = tf.concat([offsets, [end]], axis=0)
        behind = offsets[0] + len(_TAG) + tf.range(_AFTER_TAG, dtype=tf.int64)
        letters = tf.where(behind < end, self.at(behind), 0)
        between = tf.reduce_any(tf.equal(letters[:, None], tf.constant(list(_BETWEEN), tf.int64)), axis=-1)
        digit = tf.concat([tf.boolean_mask(letters, ~between), [0]], axis=0)[0] - ord("0")
        return tf.where((digit >= 1) & (digit <= 8), digit, 0)

    def png_xmp(self, start: Any, end: Any) -> Any:
        """Read a `Note` that is an XMP packet behind a flag, a method, a language and a translated keyword."""
        offsets = start + tf.range(2, _BEFORE_TEXT, dtype=tf.int64)
        offsets = tf.boolean_mask(offsets, (offsets < end) & tf.equal(self.at(offsets), 0))
        text = tf.concat([offsets, [end, end]], axis=0)[1] + 1
        return tf.where(tf.equal(self.at(start), 0), self.xmp(text, end), 0)


def _where(condition: Any, note: Note, start: Any, end: Any, otherwise: Any) -> Any:
    return tf.cond(condition, lambda: note(start, end), lambda: otherwise)


def _first_found(exif: Any, xmp: Any) -> Any:
    """Return the orientation in EXIF data, else that in XMP, else that of an upright photo."""
    return tf.where(exif > 0, exif, tf.maximum(xmp, 1))

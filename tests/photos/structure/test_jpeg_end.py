"""A JPEG that lacks its end marker is opened where it lacks nothing else, and refused wherever else it is cut."""

import io

import numpy as np
import pytest
from PIL import Image

from captioner.errors import PhotoError
from captioner.photos.decoding import NO_END
from captioner.photos.opening import open_photo


def encoded(mode="RGB", size=(30, 20), flat=False, **options):
    pixels = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), np.uint8)
    if flat:  # whose blocks take a few bits each
        pixels[:] = 128
        pixels[: size[1] // 3] = 200
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


FILES = {
    "plain": encoded(),
    "grey": encoded("L"),
    "grey flat": encoded("L", (64, 64), flat=True),
    "flat": encoded(size=(64, 64), flat=True),
    "colours whole": encoded(size=(16, 12), subsampling=0),
    "CMYK": encoded("CMYK", (18, 10)),
    "fine": encoded(size=(18, 10), quality=100),
    "progressive": encoded(progressive=True),
    "progressive flat": encoded(size=(64, 64), flat=True, progressive=True),
    "progressive grey": encoded("L", progressive=True),
    "restarts": encoded(restart_marker_blocks=1),
    "restarts rows": encoded("L", (40, 40), restart_marker_rows=1),
    "restarts flat": encoded(size=(64, 64), flat=True, restart_marker_blocks=2),
    "restarts progressive": encoded("L", restart_marker_blocks=2, progressive=True),
}


@pytest.mark.parametrize("name", FILES)
def test_whatever_is_opened_is_whole(name):
    content = FILES[name]
    whole = open_photo(content)
    notes = []
    np.testing.assert_array_equal(open_photo(content[:-2], on_note=notes.append), whole)
    np.testing.assert_array_equal(open_photo(content[:-1], on_note=notes.append), whole)
    assert notes == [f"the image: {NO_END}"] * 2
    refused = 0
    for length in range(2, len(content) - 2):
        try:
            photo = open_photo(content[:length])
        except PhotoError as error:
            assert "copy or download it again" in str(error)  # noqa: PT017
            refused += 1
        else:
            np.testing.assert_array_equal(photo, whole)
    assert refused >= len(content) - 12


def test_a_whole_file_has_no_note():
    notes = []
    open_photo(FILES["plain"], on_note=notes.append)
    assert notes == []


@pytest.mark.parametrize("filled", [b"\0", b"\xff", b" ", b"\xaa"])
@pytest.mark.parametrize("name", ["plain", "flat", "progressive", "restarts"])
def test_what_fills_up_a_cut_file_is_no_picture(name, filled):
    content = FILES[name]
    for length in range(len(content) // 2, len(content) - 8, 7):
        with pytest.raises(PhotoError, match="copy or download it again"):
            open_photo(content[:length] + filled * 5000)
    if content[-3:-2] != filled:  # else nobody can tell the last byte of the picture from what follows
        np.testing.assert_array_equal(open_photo(content[:-2] + filled * 5000), open_photo(content))


def test_data_that_end_with_a_stuffed_byte_are_whole():
    contents = (encoded(size=(width, 8), quality=quality) for width in range(8, 30) for quality in range(30, 100))
    content = next(content for content in contents if content[-4:] == b"\xff\0\xff\xd9")
    whole = open_photo(content)
    for file in (content[:-2], content[:-2] + bytes(100)):
        np.testing.assert_array_equal(open_photo(file), whole)

import subprocess
import sys

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image, ImageFont

from captioner import pictures
from captioner.pictures import GAP, TEXT, TILE, TITLE, attention_colours, draw_attention


def picture(path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).astype(float)


@pytest.fixture
def grey() -> np.ndarray:
    return np.full((200, 300, 3), 128, np.uint8)


def looks_at(*places: int) -> np.ndarray:
    """Attention (T, 64), each step on one place of the 8 x 8."""
    return np.eye(64)[list(places)]


def tiles_of(pixels: np.ndarray, columns: int, ratio: float) -> list[np.ndarray]:
    """The insides of all tiles, row by row."""
    tall = TILE * ratio
    rows = round((pixels.shape[0] - GAP) / (tall + TITLE))
    found = []
    for number in range(rows * columns):
        row, column = divmod(number, columns)
        top, left = TITLE + row * (tall + TITLE), GAP + column * (TILE + GAP)
        box = np.array([top, top + tall, left, left + TILE]).round().astype(int)
        found.append(pixels[box[0] + 2 : box[1] - 2, box[2] + 2 : box[3] - 2])
    return found


@pytest.mark.parametrize(("words", "columns", "rows"), [(0, 1, 1), (1, 2, 1), (5, 6, 1), (11, 6, 2), (20, 7, 3)])
def test_every_word_has_a_tile_and_every_tile_a_word(tmp_path, grey, words, columns, rows):
    attention = np.full((words, 64), 1 / 64)
    draw_attention(tmp_path / "attention.png", grey, ["dog"] * words, attention)
    pixels = picture(tmp_path / "attention.png")
    expected = rows * (TILE * 2 / 3 + TITLE) + GAP, columns * (TILE + GAP) + GAP
    assert pixels.shape[:2] == expected
    tiles = tiles_of(pixels, columns, 2 / 3)
    assert len(tiles) == words + 1
    assert all((tile < 250).any(axis=-1).all() for tile in tiles)


def test_the_first_tile_is_the_photo(tmp_path):
    photo = np.zeros((300, 300, 3), np.uint8)
    photo[:150, :, 0] = photo[150:, :, 2] = 200  # red over blue
    draw_attention(tmp_path / "a.png", photo, ["a"], looks_at(0))
    tile = tiles_of(picture(tmp_path / "a.png"), 2, 1)[0]
    middle = len(tile) // 2
    np.testing.assert_allclose(tile[: middle - 5], np.broadcast_to([200, 0, 0], tile[: middle - 5].shape), atol=2)
    np.testing.assert_allclose(tile[middle + 5 :], np.broadcast_to([0, 0, 200], tile[middle + 5 :].shape), atol=2)


@pytest.mark.parametrize(("place", "corner"), [(0, (0, 0)), (7, (0, 1)), (56, (1, 0)), (63, (1, 1))])
def test_the_brightest_spot_lies_where_the_model_looked(tmp_path, grey, place, corner):
    draw_attention(tmp_path / "a.png", grey, ["a"], looks_at(place))
    light = tiles_of(picture(tmp_path / "a.png"), 2, 2 / 3)[1].sum(axis=-1)
    spot = np.unravel_index(light.argmax(), light.shape)
    share = np.array(spot) / (np.array(light.shape) - 1)
    assert np.abs(share - corner).max() < 0.13


def test_the_overlay_is_smooth(tmp_path, grey):
    draw_attention(tmp_path / "a.png", grey, ["a"], looks_at(27))
    tile = tiles_of(picture(tmp_path / "a.png"), 2, 2 / 3)[1]
    steps = max(np.abs(np.diff(tile, axis=axis)).max() for axis in (0, 1))
    assert tile.max() - tile.min() > 80
    assert steps < 25


def test_attention_everywhere_is_bright_everywhere(tmp_path, grey):
    draw_attention(tmp_path / "a.png", grey, ["a", "b"], np.stack([np.full(64, 1 / 64), looks_at(0)[0]]))
    _, everywhere, corner = tiles_of(picture(tmp_path / "a.png"), 3, 2 / 3)
    assert everywhere.mean() > 1.5 * corner.mean()
    assert np.ptp(everywhere, axis=(0, 1)).max() < 3


@pytest.mark.parametrize("shape", [(1500, 100, 3), (100, 1500, 3), (1, 1, 3), (3000, 4000, 3)])
def test_photos_of_any_shape_give_a_picture_that_fits_a_screen(tmp_path, shape):
    draw_attention(tmp_path / "a.png", np.full(shape, 90, np.uint8), ["a"] * 5, looks_at(0, 1, 2, 3, 4))
    height, width = picture(tmp_path / "a.png").shape[:2]
    assert height < 600
    assert width < 2000


def test_long_words_stay_in_their_tile(tmp_path, grey):
    draw_attention(
        tmp_path / "a.png",
        grey,
        ["skateboarding-competitions", "counter-counter-revolutionaries-and-more"],
        looks_at(0, 1),
    )
    pixels = picture(tmp_path / "a.png")
    titles = pixels[: TITLE - 1]
    for edge in range(3):
        between = GAP // 2 + edge * (TILE + GAP)
        assert (titles[:, between - 1 : between + 2] > 250).all()
    assert (titles < 128).any()


@pytest.mark.parametrize(("place", "corner"), [(0, (0, 0)), (7, (0, -1)), (56, (-1, 0)), (63, (-1, -1))])
def test_the_colours_of_attention(place, corner):
    colours = attention_colours(looks_at(place)[0], 480)
    assert (colours.shape, colours.dtype) == ((480, 480, 3), np.uint8)
    assert tuple(colours[corner]) == (252, 254, 164)  # the ends of matplotlib's inferno
    assert tuple(colours[240, 240]) == (0, 0, 3)
    assert np.abs(np.diff(colours.astype(int), axis=0)).max() < 30


def test_the_colours_follow_the_shares_and_not_the_size():
    weights = np.array([0.1, 0.2, 0.4, 0.3])
    np.testing.assert_array_equal(attention_colours(weights, 2), attention_colours(weights / 7, 2))
    light = attention_colours(weights, 2).astype(int).sum(axis=-1)
    assert light[0, 0] < light[0, 1] < light[1, 1] < light[1, 0] == 252 + 254 + 164


def test_the_colours_are_those_of_inferno():
    size = 256
    ramp = np.linspace(0, 1, 16 * 16, dtype=np.float32)
    found = attention_colours(ramp, 16).reshape(-1, 3).astype(int)  # as many pixels as places: nothing is smoothed
    expected = colormaps["inferno"](np.arange(size), bytes=True)[:, :3].astype(int)
    assert np.abs(found - expected).max() <= 1


def test_attention_is_drawn_without_matplotlib(tmp_path):
    code = """
import sys
from pathlib import Path
import numpy as np
from captioner.pictures import draw_attention
draw_attention(Path(sys.argv[1]), np.zeros((9, 9, 3), np.uint8), ["a"], np.ones((1, 64)))
print("matplotlib" in sys.modules)
"""
    command = [sys.executable, "-c", code, str(tmp_path / "a.png")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize(
    ("name", "starts"), [("a.jpg", b"\xff\xd8"), ("a.webp", b"RIFF"), ("a.pdf", b"%PDF"), ("a.PNG", b"\x89PNG")]
)
def test_the_suffix_chooses_the_format(tmp_path, grey, name, starts):
    draw_attention(tmp_path / name, grey, ["a"], looks_at(0))
    assert (tmp_path / name).read_bytes().startswith(starts)


def test_letters_beyond_english_take_a_font_that_has_them(tmp_path, grey):
    """Matplotlib's, which is installed with what trains a model of such words."""
    own = ImageFont.load_default(TEXT)
    box = own.getmask("\uffff").size
    assert own.getmask("\u0436").size == box  # a box, since Pillow's own has none
    font = pictures._font("\u0436\u00df")
    assert (font.getname()[0], own.getname()[0]) == ("DejaVu Sans", "Aileron")
    assert pictures._font("dog").getname() == own.getname()
    assert pictures._font("dog \U0010fffd").getname() == own.getname()  # which no font has


def test_words_stand_in_the_middle_above_their_tile(tmp_path, grey):
    draw_attention(tmp_path / "a.png", grey, ["m", "mmm"], looks_at(0, 1))
    dark = (picture(tmp_path / "a.png")[:TITLE] < 128).all(axis=-1)
    for tile, letters in ((1, 1), (2, 3)):
        left = GAP + tile * (TILE + GAP)
        inked = np.flatnonzero(dark[:, left : left + TILE].any(axis=0))
        assert abs(inked.mean() - TILE / 2) < 2
        assert 8 * letters < np.ptp(inked) < 20 * letters
    assert not dark[:, : GAP + TILE].any()

"""Pictures of the attention before each word, drawn with Pillow."""

import math
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageDraw, ImageFont

from captioner.system.atomic import atomic_write

FORMATS = (".png", ".jpg", ".jpeg", ".webp", ".pdf")
"""What `draw_attention` writes."""

TILE, GAP, TITLE = 264, 11, 38
"""Pixels: the width of a photo in the picture, the space around it, and the height of the line above it."""

TEXT, RAISED = 18, 9
"""Pixels: the size of the words, and how far they stand above their photo."""

OTHER_FONTS = ("DejaVuSans.ttf", "arial.ttf", "Arial Unicode.ttf", "NotoSansCJK-Regular.ttc", "malgun.ttf", "msyh.ttc")
"""Fonts of systems, for letters that Pillow's own font has not: those beyond English."""

_SOFTWARE = "Captioner: attention before each word"
"""What a picture says of its making, so that only such pictures are drawn again."""

_PDF_END = 4096
"""Bytes of a PDF that hold what it says of its making; Pillow writes them last."""

ATTENTION_OPACITY = 0.6
"""How `attention_colours` lies over a photo."""


def attention_colours(weights: np.ndarray, size: int) -> np.ndarray:
    """Colour where a model looked before a word, smoothly: black is no attention, yellow the most of any region.

    Args:
        weights: (L,), over a square grid of L regions, row by row.
        size: pixels a side.

    Returns:
        uint8 (size, size, 3), to be stretched over the photo and laid on it with `ATTENTION_OPACITY`.
    """
    side = math.isqrt(weights.size)
    grid = np.asarray(weights, np.float32).reshape(side, side)
    share = Image.fromarray(grid / max(grid.max(), np.finfo(np.float32).tiny))
    smooth = np.asarray(share.resize((size, size), Image.Resampling.BICUBIC))
    return _inferno()[np.rint(smooth.clip(0, 1) * 255).astype(np.uint8)]


_INFERNO = """
000003 01010b 040316 090621 0f092d 160b39 1d0c45 260b50 2e0a5a 370961 400966 480b6a 500d6c
58106d 60136e 68166e 70196e 781c6d 801f6b 88216a 902468 982765 a02a62 a72d5f af315b b73456
be3852 c53d4d cc4148 d24742 d94d3d de5337 e45a31 e8612b ed6825 f0701e f37918 f68111 f88a0b
fa9306 fb9d06 fba60b fbb014 fbb91e f9c32a f8cd37 f5d745 f3e056 f1e968 f1f27d f5f891 fcfea4
"""
"""Every fifth of the 256 colours of the colour map inferno (van der Walt and Smith, CC0)."""


@cache
def _inferno() -> np.ndarray:
    """The colour map of that name, uint8 (256, 3), to within 1.

    Matplotlib has it too, but prediction does without Matplotlib.
    """
    fifths = np.frombuffer(bytes.fromhex(_INFERNO), np.uint8).reshape(-1, 3)
    places = np.arange(len(fifths)) * 5
    return np.stack([np.interp(np.arange(256), places, each) for each in fifths.T], axis=1).round().astype(np.uint8)


def draw_attention(path: Path, photo: np.ndarray, words: Sequence[str], attention: np.ndarray) -> None:
    """Draw the photo, and for each word where the model looked before it said it.

    Black is no attention, yellow the most that any region has before this word.

    Args:
        path: the picture to write; its suffix, one of `FORMATS`, chooses the format.
        photo: uint8 (H, W, 3).
        words: T words.
        attention: (T, L), weights over a square grid of L regions.
    """
    height, width = photo.shape[:2]
    tiles = len(words) + 1
    columns = min(range(min(4, tiles), min(7, tiles) + 1), key=lambda columns: (-tiles % columns, abs(columns - 5.5)))
    rows = -(-tiles // columns)
    tall = round(TILE * min(1.6, max(0.3, height / width)))
    right, down = TILE + GAP, tall + TITLE  # from tile to tile; above each stands its word
    picture = Image.new("RGB", (columns * right + GAP, rows * down + GAP), "white")
    small = _fitted(Image.fromarray(photo), tall)
    font = _font("".join(words))
    for number in range(tiles):
        row, column = divmod(number, columns)
        left, top = GAP + column * right, TITLE + row * down
        tile = small
        if number:
            looked = Image.fromarray(attention_colours(attention[number - 1], 256))
            tile = Image.blend(small, looked.resize(small.size, Image.Resampling.BICUBIC), ATTENTION_OPACITY)
            _write_word(ImageDraw.Draw(picture), (left + TILE // 2, top - RAISED), words[number - 1], font)
        picture.paste(tile, (left + (TILE - tile.width) // 2, top + (tall - tile.height) // 2))
    about = Image.Exif()
    about[ExifTags.Base.Software] = _SOFTWARE
    with atomic_write(path) as temporary:
        picture.save(temporary, quality=92, exif=about, creator=_SOFTWARE)  # the latter is for PDF


def is_drawn_attention(path: Path) -> bool:
    """Return whether `draw_attention` wrote a file."""
    try:
        if path.suffix.lower() == ".pdf":
            return _SOFTWARE.encode("utf-16-be") in path.read_bytes()[-_PDF_END:]
        with Image.open(path) as picture:
            written = picture.getexif().get(ExifTags.Base.Software), picture.info.get("Software")  # formerly in PNG
            return _SOFTWARE in written
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


def _fitted(photo: Image.Image, tall: int) -> Image.Image:
    """Return the photo as large as fits into a tile."""
    scale = min(TILE / photo.width, tall / photo.height)
    size = max(1, round(photo.width * scale)), max(1, round(photo.height * scale))
    return photo.resize(size, Image.Resampling.LANCZOS)


def _write_word(draw: ImageDraw.ImageDraw, place: tuple[int, int], word: str, font: ImageFont.FreeTypeFont) -> None:
    """Write a word, centred over its tile and small enough for it; `place` is the middle of its base line."""
    length = font.getlength(word)
    if length > TILE:
        font = font.font_variant(size=TEXT * TILE / length)
    draw.text(place, word, "black", font, anchor="ms")


def _font(text: str) -> ImageFont.FreeTypeFont:
    """Return the first font that has all characters of a text, or Pillow's own, which shows boxes for some."""
    fonts = list(_fonts())
    return next((font for font in fonts if _has_all(font, text)), fonts[0])


def _fonts() -> Iterator[ImageFont.FreeTypeFont]:
    own = ImageFont.load_default(TEXT)
    assert isinstance(own, ImageFont.FreeTypeFont)  # as in all wheels of Pillow
    yield own
    names = list(OTHER_FONTS)
    if (matplotlib := find_spec("matplotlib")) and matplotlib.origin:
        names.insert(0, str(Path(matplotlib.origin).parent / "mpl-data" / "fonts" / "ttf" / OTHER_FONTS[0]))
    for name in names:
        try:
            yield ImageFont.truetype(name, TEXT)
        except OSError:
            continue


def _has_all(font: ImageFont.FreeTypeFont, text: str) -> bool:
    missing = bytes(font.getmask("\uffff"))
    return all(bytes(font.getmask(character)) != missing for character in set(text) if not character.isspace())

"""The picture at the top of the README: a photo, its caption, and where the model looked before each word.

The photo is `photos/dog.jpg`, a dog by Hans Kemperman, in the public domain. Caption and attention are those of
`saved_models/flickr8k`, which needs InceptionV3's weights.
"""

import io
import textwrap
from pathlib import Path

from PIL import Image

from captioner import Captioner
from captioner.photos.opening import open_photo
from captioner.pictures import ATTENTION_OPACITY, attention_colours
from docs.figures.style import INK, new_figure

ROOT = Path(__file__).parents[2]
PHOTO = ROOT / "photos" / "dog.jpg"
COLUMNS, ROWS = 5, 2
"""The grid of words, beside a photo as tall as the grid."""

QUALITY, DPI = 80, 130


def draw(folder: Path) -> list[Path]:
    """Caption the photo, and lay out the photo beside a tile for each word."""
    caption = Captioner.load(ROOT / "saved_models" / "flickr8k")(PHOTO)
    if len(caption.words) > COLUMNS * ROWS:
        raise ValueError(f"expected at most {COLUMNS * ROWS} words, found {caption.text!r}")
    photo = open_photo(PHOTO)
    figure = new_figure(2.75)
    grid = figure.add_gridspec(ROWS, COLUMNS + ROWS, wspace=0.02, hspace=0.02)
    whole = figure.add_subplot(grid[:, :ROWS])
    whole.imshow(photo)
    whole.set_title(textwrap.fill(caption.text, 22), fontsize=13, loc="center", color=INK)
    whole.axis("off")
    for number, (word, weights) in enumerate(zip(caption.words, caption.attention, strict=True)):
        row, column = divmod(number, COLUMNS)
        axes = figure.add_subplot(grid[row, ROWS + column])
        axes.imshow(photo)
        extent = (0, photo.shape[1], photo.shape[0], 0)
        axes.imshow(attention_colours(weights, 256), alpha=ATTENTION_OPACITY, extent=extent)
        axes.set_title(word, fontsize=13, loc="center", color=INK)
        axes.axis("off")
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI)
    path = folder / "attention_photo.webp"
    Image.open(drawn).convert("RGB").save(path, quality=QUALITY, method=6)
    return [path]

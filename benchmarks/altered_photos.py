"""What models say of dev photos that are altered in the ways in which people's photos differ from Flickr8k's copies.

    python benchmarks/altered_photos.py --model saved_models/flickr8k [another ...] [--data DIR] [--limit N]

Scores x 100 against all references, and how many captions are word for word those of the photo as it is.
"""

import argparse
import io
import os
import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))

from PIL import Image, ImageEnhance, ImageFilter

from captioner import Captioner
from captioner.data.flickr8k import find_or_download
from captioner.metrics.cider import CiderD
from captioner.metrics.score import score
from captioner.photos.opening import open_photo
from captioner.text import normalise


def part(photo: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    """Cut a part out of a photo; the edges are shares of its sides."""
    width, height = photo.size
    return photo.crop((round(left * width), round(top * height), round(right * width), round(bottom * height)))


def as_jpeg(photo: Image.Image, quality: int) -> Image.Image:
    """Compress a photo."""
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=quality)
    return Image.open(file)


ALTERATIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "as it is": lambda photo: photo,
    "mirrored": lambda photo: photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "sharpened, factor 2": lambda photo: ImageEnhance.Sharpness(photo.resize((299, 299))).enhance(2.0),
    "sharpened, factor 4": lambda photo: ImageEnhance.Sharpness(photo.resize((299, 299))).enhance(4.0),
    "out of focus, radius 2 of 299 pixels": lambda photo: photo.resize((299, 299)).filter(ImageFilter.GaussianBlur(2)),
    "half as light": lambda photo: ImageEnhance.Brightness(photo).enhance(0.5),
    "half as light again": lambda photo: ImageEnhance.Brightness(photo).enhance(1.5),
    "half the contrast": lambda photo: ImageEnhance.Contrast(photo).enhance(0.5),
    "without colour": lambda photo: photo.convert("L").convert("RGB"),
    "JPEG of quality 10": lambda photo: as_jpeg(photo, 10),
    "the middle four fifths": lambda photo: part(photo, 0.1, 0.1, 0.9, 0.9),
    "the middle, 9:16 of a square": lambda photo: part(photo, 0.22, 0.0, 0.78, 1.0),
    "tilted by 5 degrees": lambda photo: part(photo.rotate(5, Image.Resampling.BICUBIC), 0.05, 0.05, 0.95, 0.95),
}


def main() -> None:
    """Caption and score, and print a table for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, nargs="+", default=[Path("saved_models/flickr8k")])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--limit", type=int, help="so many photos only")
    arguments = parser.parse_args()
    examples = find_or_download(arguments.data, "auto").split("dev")[: arguments.limit]
    photos = [Image.fromarray(open_photo(example.image)) for example in examples]
    references = [[words for each in example.captions if (words := normalise(each))] for example in examples]
    for model in arguments.model:
        captioner, cider = Captioner.load(model), CiderD(references)
        print(f"{model}\n\n| the photo | BLEU-4 | CIDEr-D | words | as before |\n|---|---|---|---|---|")
        plain: list[list[str]] = []
        for name, alter in ALTERATIONS.items():
            captions = [caption.text.split() for caption in captioner([alter(photo) for photo in photos])]
            plain = plain or captions
            scores = score(captions, references, cider)
            same = sum(after == before for after, before in zip(captions, plain, strict=True)) / len(plain)
            distinct = len(set(chain(*captions)))
            print(f"| {name} | {scores['bleu4']:.1f} | {scores['cider']:.1f} | {distinct} | {same:.0%} |", flush=True)


if __name__ == "__main__":
    main()

"""Pictures unlike Flickr8k's: those that packages for Python bring, and drawings.

scikit-image and scikit-learn are read where they are installed, or out of their wheels:

    pip download --no-deps --dest wheels scikit-image scikit-learn
"""

import importlib.util
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from drawings import DRAWINGS
from PIL import Image, UnidentifiedImageError

FOLDERS = {
    "skimage": ("scikit-image", "data"),
    "sklearn": ("scikit-learn", "datasets/images"),
    "matplotlib": ("matplotlib", "mpl-data/sample_data"),
}
"""Where a package keeps its pictures, and what it is called where it is downloaded."""

_CAMERA = (
    "astronaut brick camera cell chelsea china clock_motion coffee coins flower grace_hopper grass gravel "
    "hubble_deep_field ihc microaneurysms moon motorcycle_left motorcycle_right retina rocket text"
)
_OTHER = "Minduka_Present_Blue_Pack chessboard_GRAY chessboard_RGB color horse logo logo2 page phantom"

PHOTOGRAPHS = frozenset(_CAMERA.split())
"""Those that a camera made, telescopes and microscopes among them; `text` is of handwriting on paper."""

DRAWN = frozenset(_OTHER.split())
"""Those that none made, and a scanned page."""

HOW = (
    "`pip download --no-deps --dest wheels scikit-image scikit-learn` gets them, and `--wheels wheels` names the folder"
)


@dataclass(frozen=True)
class Picture:
    """A picture, with its name, and whether it is a photograph."""

    name: str
    image: Image.Image
    is_photograph: bool


def foreign_pictures(wheels: Path | None) -> list[Picture]:
    """Return all pictures, the photographs first.

    Args:
        wheels: a folder with wheels of the packages that are not installed.

    Raises:
        FileNotFoundError: a package is missing, or a picture that it brings.
    """
    found = {}
    for package in FOLDERS:
        for name, content in _contents(package, wheels):
            stem = Path(name).stem
            if stem in PHOTOGRAPHS | DRAWN:
                found[stem] = Picture(stem, _opened(name, content), stem in PHOTOGRAPHS)
    if missing := sorted((PHOTOGRAPHS | DRAWN) - set(found)):
        raise FileNotFoundError(f"the packages bring no {', '.join(missing)}; take scikit-image 0.26: {HOW}")
    drawings = [Picture(name, draw(), False) for name, draw in DRAWINGS.items()]
    return [*sorted(found.values(), key=lambda each: (not each.is_photograph, each.name)), *drawings]


def _contents(package: str, wheels: Path | None) -> Iterator[tuple[str, bytes]]:
    """Yield the names and the bytes of the files in a package's folder of pictures, from its wheel if it is there."""
    name, folder = FOLDERS[package]
    wheel = next(iter(sorted(wheels.glob(f"{name.replace('-', '_')}-*.whl"))), None) if wheels else None
    if wheel:
        try:
            with zipfile.ZipFile(wheel) as archive:
                inside = [each for each in archive.namelist() if each.startswith(f"{package}/{folder}/")]
                yield from ((each, archive.read(each)) for each in inside if not each.endswith("/"))
        except zipfile.BadZipFile as error:
            raise FileNotFoundError(f"{wheel} is no wheel, or was cut off ({error}); {HOW}") from error
        return
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        where = f", and {wheels} has no wheel of it" if wheels else ""
        raise FileNotFoundError(f"{name} is not installed{where}; {HOW}")
    for path in sorted(Path(spec.origin).parent.joinpath(folder).iterdir()):
        if path.is_file():
            yield path.name, path.read_bytes()


def _opened(name: str, content: bytes) -> Image.Image:
    """Return a picture; where it is transparent it is white.

    Raises:
        FileNotFoundError: the file is none.
    """
    try:
        image = Image.open(io.BytesIO(content)).convert("RGBA")
    except (UnidentifiedImageError, OSError) as error:
        raise FileNotFoundError(f"{name} cannot be read ({error}); {HOW}") from error
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    return white.convert("RGB")

"""Where `predict` writes for each photo: pictures of the attention, text files, copies."""

import os
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from captioner.errors import UsageError
from captioner.photos.finding import CAPTIONED
from captioner.pictures import FORMATS, is_drawn_attention
from captioner.system.file_names import folded


def without_pictures(photos: list[Path], typed: list[str], where: Path | None) -> list[Path]:
    """Leave out the files in the folder for pictures, if that lies in one of the searched folders."""
    if where is None or not any(Path(each).absolute() in where.absolute().parents for each in typed):
        return photos
    return [photo for photo in photos if where.absolute() not in photo.absolute().parents]


def attention_paths(where: Path | None, photos: list[Path], single: bool, overwrite: bool = False) -> dict[Path, Path]:
    """Return the path of each photo's picture: the named file, or one per photo in the named folder.

    Args:
        where: the file or the folder that the user named.
        photos: the photos.
        single: whether the user named one photo and nothing else.
        overwrite: whether pictures in the folder that somebody else made may be replaced.

    Raises:
        UsageError: one file is named for several photos, a file that is no picture, a picture would take the place of a
            photo or of somebody's picture, or the next run would take it for a photo.
    """
    if where is None:
        return {}
    paths = _attention_paths(where, photos, single)
    if where.is_dir() and not overwrite:
        for path in paths.values():
            if path.is_file() and not is_drawn_attention(path):
                raise UsageError(
                    f"--attention {where}: {path} is another picture, which would be lost; name another folder, or "
                    "give --overwrite"
                )
    originals = {folded(str(photo.absolute())): photo for photo in photos}
    for path in paths.values():
        if original := originals.get(folded(str(path.absolute()))):
            raise UsageError(
                f"--attention {where}: {path} would take the place of the photo {original}; name another file or folder"
            )
    return paths


def _attention_paths(where: Path, photos: list[Path], single: bool) -> dict[Path, Path]:
    if single and not where.is_dir():
        if where.suffix.lower() not in FORMATS:
            raise UsageError(f"--attention {where}: expected a picture such as {where}.png, or an existing folder")
        return {photos[0]: where}
    if where.is_file():
        raise UsageError(f"--attention {where}: is a file; expected a folder, since there is more than one photo")
    if any(photo.parent.absolute() == where.absolute() for photo in photos):
        raise UsageError(
            f"--attention {where}: is a folder of photos, and its pictures would be captioned next time; name another "
            f"one, such as {where.absolute().with_name(f'{where.absolute().name}-attention')}"
        )
    paths: dict[Path, Path] = {}
    taken: set[str] = set()
    for photo in photos:
        name, number = photo.stem, 2
        while folded(name) in taken:
            name, number = f"{photo.stem}-{number}", number + 1
        taken.add(folded(name))
        paths[photo] = where / f"{name}.png"
    return paths


def sidecar_paths(photos: list[Path]) -> dict[Path, Path]:
    """Return the path of each photo's text: dog.txt beside dog.jpg; dog.jpg.txt if there is a dog.png too.

    No two photos share a text, and no text takes the place of a photo.
    """
    paths = {photo: photo.with_suffix(".txt") for photo in photos}
    originals = {folded(str(photo)) for photo in photos}
    long: set[Path] = set()
    while True:
        names = {photo: folded(str(path)) for photo, path in paths.items()}
        wanted = Counter(names.values())
        more = {photo for photo, name in names.items() if wanted[name] > 1 or name in originals} - long
        if not more:
            return paths
        long |= more
        paths |= {photo: photo.with_name(f"{photo.name}.txt") for photo in more}


def refuse_to_replace(option: str, output: Path | None, inputs: Iterable[Path]) -> None:
    """Refuse an output file that is one of the inputs.

    Raises:
        UsageError: it is.
    """
    if output is None or not output.is_file():
        return
    there = output.stat()
    for each in inputs:
        with suppress(OSError):
            if os.path.samestat(there, each.stat()):
                raise UsageError(f"{option} {output}: would take the place of {each}, which is read; name another file")


def copy_path(photo: Path) -> Path:
    """Return the path of the copy with a description: dog.captioned.jpg beside dog.jpg."""
    return photo.with_name(f"{photo.stem}{CAPTIONED}{photo.suffix}")

"""Where `predict` writes for each photo: pictures of the attention, text files, copies."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from captioner.errors import UsageError
from captioner.photos.finding import CAPTIONED
from captioner.pictures import FORMATS, is_drawn_attention
from captioner.system.file_names import folded


def without_pictures(photos: list[Path], typed: list[str], where: Path | None) -> list[Path]:
    """Leave out pictures of the attention among the photos: those of this run, and those of earlier ones.

    Args:
        photos: what was found.
        typed: what the user named; such a file stays.
        where: the folder for pictures, whose files are left out if it lies in one of the searched folders.
    """
    if where is not None and any(Path(each).absolute() in where.absolute().parents for each in typed):
        photos = [photo for photo in photos if where.absolute() not in photo.absolute().parents]
    drawn = _drawn_earlier(photos) - {Path(each) for each in typed}
    return [photo for photo in photos if photo not in drawn] if drawn else photos


def _drawn_earlier(photos: list[Path]) -> set[Path]:
    """Return the pictures that lie in a folder of their own: others than the first PNG are looked at only if it is one.

    So a million photos are not opened twice.
    """
    drawn: set[Path] = set()
    of_photos: set[str] = set()
    for photo in photos:
        if photo.suffix.lower() == ".png" and (folder := os.path.dirname(photo)) not in of_photos:  # noqa: PTH120
            if is_drawn_attention(photo):
                drawn.add(photo)
            else:
                of_photos.add(folder)
    return drawn


def attention_paths(where: Path | None, photos: list[Path], single: bool, overwrite: bool = False) -> dict[Path, Path]:
    """Return the path of each photo's picture: the named file, or one per photo in the named folder.

    Args:
        where: the file or the folder that the user named for pictures.
        photos: the photos.
        single: whether the user named one photo and nothing else.
        overwrite: whether pictures that somebody else made may be replaced.

    Raises:
        UsageError: one file is named for several photos, a file that is no picture, a picture would take the place of a
            photo or of somebody's picture, or the next run would take it for a photo.
    """
    if where is None:
        return {}
    if single and not where.is_dir():
        if where.suffix.lower() not in FORMATS:
            raise UsageError(f"--attention {where}: expected a picture such as {where}.png, or an existing folder")
        paths = {photos[0]: where}
    else:
        paths = _pictures_in(where, photos)
    originals = {folded(str(photo.absolute())): photo for photo in photos}
    for path in paths.values():
        if original := originals.get(folded(str(path.absolute()))):
            raise UsageError(
                f"--attention {where}: {path} would take the place of the photo {original}; name another file or folder"
            )
        if path.is_file() and not overwrite and not is_drawn_attention(path):
            raise UsageError(
                f"--attention {where}: {path} is another picture, which would be lost; name another file or folder, or "
                "give --overwrite"
            )
    return paths


def _pictures_in(where: Path, photos: list[Path]) -> dict[Path, Path]:
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


def refuse_shared_outputs(outputs: Mapping[str, Iterable[Path | None]]) -> None:
    """Refuse options that would write to one file, given the paths of each.

    Raises:
        UsageError: two of them would.
    """
    taken: dict[str, str] = {}
    for option, paths in outputs.items():
        for path in filter(None, paths):
            other = taken.setdefault(folded(str(path.absolute())), option)
            if other != option:
                raise UsageError(f"{other} and {option} would both write to {path}; name another file or folder")


def copy_path(photo: Path) -> Path:
    """Return the path of the copy with a description: dog.captioned.jpg beside dog.jpg."""
    return photo.with_name(f"{photo.stem}{CAPTIONED}{photo.suffix}")

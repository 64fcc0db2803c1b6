"""Read a folder with photos and captions, in any of the usual layouts, into one CaptionDataset.

`read_dataset` is where to begin. Each layout has a reader here that turns its caption files into a `Source`: rows
(image name, caption) and, where the files say so, the image names of every split. `folder` finds the files,
`text_files` and `tables` open them, and `splits` joins the source with the photos. What is wrong in the files is
counted in `holes`, and is an error only when no photo is left.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from captioner.data.dataset import SPLITS, CaptionDataset
from captioner.data.folder import Folder, leads_out
from captioner.data.holes import Hole, Holes
from captioner.data.splits import SPLIT_NAMES, Source, join, lists_by_word, random_split
from captioner.data.tables import read_table
from captioner.data.text_files import read_lines, read_lists
from captioner.errors import CaptionerError

__all__ = ["FORMATS", "detect_format", "leads_out", "random_split", "read_dataset"]

# What reading an entry of a JSON list raises when it is not what its format says.
_BROKEN = (AttributeError, KeyError, TypeError, UnicodeEncodeError)


def read_dataset(directory: Path, data_format: str = "auto", seed: int = 0) -> CaptionDataset:
    """Read the photos and captions of `directory`.

    Args:
        directory: a folder with caption files and photos, or folders of those.
        data_format: one of FORMATS, or "auto" to tell by the files there.
        seed: of the random 80/10/10 split by image, made when the files give none and are not Flickr8k's.

    Raises:
        CaptionerError: the folder, its caption files or columns are missing or unreadable, the format is
            not known, or not one photo with a caption is left.
    """
    if data_format not in ("auto", *FORMATS):
        raise CaptionerError(f"unknown data format {data_format!r}; choose auto, {', '.join(FORMATS)}")
    folder = Folder(Path(directory))
    if data_format == "auto":
        data_format = _detect(folder)
    reader = _READERS[data_format]
    paths = folder.matching(reader.files)
    if not paths:
        raise CaptionerError(
            f"no {data_format} captions in {folder.root}: looked for {reader.wanted}; there is: {folder.contents()}. "
            "Name another folder, or another data format"
        )
    holes = Holes()
    return join(folder, reader.read(folder, paths, holes), seed, holes)


def detect_format(directory: Path) -> str:
    """The name of the first format whose files lie in `directory`.

    Raises:
        CaptionerError: there is no such folder, or no caption file of a known format in it.
    """
    return _detect(Folder(Path(directory)))


def _detect(folder: Folder) -> str:
    for name, reader in _READERS.items():
        if folder.matching(reader.files):
            return name
    wanted = "; ".join(f"{name}: {reader.wanted}" for name, reader in _READERS.items())
    raise CaptionerError(
        f"no caption file in {folder.root}. Looked for {wanted}. There is: {folder.contents()}. "
        "Name the folder that holds the caption file and the photos"
    )


def _read_flickr8k(folder: Folder, paths: list[Path], holes: Holes) -> Source:
    """`name.jpg#0<TAB>caption` lines and one list of names a split (Hodosh, Young & Hockenmaier 2013)."""
    path = _only(paths, folder)
    rows = []
    seen = set()
    for number, line in read_lines(path, holes):
        key, tab, caption = line.partition("\t")
        if not tab:
            holes.add(Hole.NO_TAB, f"{path.name} line {number}")
        elif line in seen:
            holes.add(Hole.REPEATED, f"{path.name} line {number}")
        else:
            seen.add(line)
            name, mark, _ = key.rpartition("#")
            rows.append((name.strip() if mark else key.strip(), caption))
    return Source(rows, _split_files(folder, holes), name="flickr8k")


def _read_karpathy(folder: Folder, paths: list[Path], holes: Holes) -> Source:
    """`images[]` with `filename`, `split` and `sentences[]` (Karpathy & Fei-Fei 2015)."""
    path = _only(paths, folder)
    (images,) = read_lists(path, ("images",), holes)
    rows = []
    splits = []
    for number, image in enumerate(images):
        try:
            name = _text(image["filename"])
            inner = _text(image.get("filepath") or "")
            if inner and folder.photo(f"{inner}/{name}"):
                name = f"{inner}/{name}"
            sentences = image.get("sentences", [])
            rows += [(name, _text(s["raw"] if "raw" in s else " ".join(s["tokens"]))) for s in sentences]
            splits.append((name, _text(image.get("split", ""))))
        except _BROKEN:
            holes.add(Hole.BROKEN, f"{path.name} images[{number}]")
    lists = lists_by_word(splits, holes) if any(word for _, word in splits) else None
    return Source(rows, lists, name="flickr8k" if "flickr8k" in path.name.lower() else "")


def _read_kaggle(folder: Folder, paths: list[Path], holes: Holes) -> Source:
    """Rows `image,caption`. Two people may have written the same words, so equal rows all count."""
    path = _only(paths, folder)
    columns = read_table(path, holes)
    rows = zip(columns["image"], columns["caption"], strict=True)
    return Source(_with_image(rows, path, holes), _split_files(folder, holes))


def _read_coco(folder: Folder, paths: list[Path], holes: Holes) -> Source:
    """`images[]` and `annotations[]`, a file a split by its name (Chen et al. 2015, Microsoft COCO Captions)."""
    rows = []
    lists: dict[str, list[str]] = {}
    without_split: list[str] = []
    for path in paths:
        images, annotations = read_lists(path, ("images", "annotations"), holes)
        names: dict[Any, str] = {}
        for number, image in enumerate(images):
            try:
                names[image["id"]] = _text(image["file_name"])
            except _BROKEN:
                holes.add(Hole.BROKEN, f"{path.name} images[{number}]")
        for number, annotation in enumerate(annotations):
            try:
                rows.append((names[annotation["image_id"]], _text(annotation["caption"])))
            except _BROKEN:
                holes.add(Hole.BROKEN, f"{path.name} annotations[{number}]")
        word = re.search("train|val|dev|test", path.stem.lower())
        listed = lists.setdefault(SPLIT_NAMES[word[0]], []) if word else without_split
        listed += names.values()
    if not lists:
        return Source(rows)
    for name in without_split:
        holes.add(Hole.NO_SPLIT, name)
    return Source(rows, lists)


def _read_csv(folder: Folder, paths: list[Path], holes: Holes) -> Source:
    """Rows `image,caption` and perhaps `split`; an equal row is a copy."""
    path = _only(paths, folder)
    columns = read_table(path, holes)
    rows: dict[tuple[str, str], None] = {}
    for row in zip(columns["image"], columns["caption"], strict=True):
        if row in rows:
            holes.add(Hole.REPEATED, row[0])
        rows[row] = None
    words = columns.get("split", [])
    lists = lists_by_word(zip(columns["image"], words, strict=True), holes) if any(map(str.strip, words)) else None
    return Source(_with_image(rows, path, holes), lists)


def _only(paths: list[Path], folder: Folder) -> Path:
    preferred = [path for path in paths if path.stem.lower() in ("captions", "dataset")] or paths
    if len(preferred) > 1:
        raise CaptionerError(
            f"several caption files in {folder.root}: {', '.join(path.name for path in paths)}; "
            "leave the one to read, and move the others elsewhere"
        )
    return preferred[0]


def _split_files(folder: Folder, holes: Holes) -> dict[str, list[str]] | None:
    lists = {}
    for split in SPLITS:
        for path in folder.matching(rf"flickr_8k\.{split}images\.txt"):
            lists[split] = [line.strip() for _, line in read_lines(path, holes)]
    return lists or None


def _with_image(rows: Iterable[tuple[str, str]], path: Path, holes: Holes) -> list[tuple[str, str]]:
    named = []
    for image, caption in rows:
        if image.strip():
            named.append((image.strip(), caption))
        else:
            holes.add(Hole.BROKEN, f"{path.name}, no image: {caption}")
        if "\n" in caption.strip():
            holes.add(Hole.SEVERAL_LINES, image)
    return named


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    value.encode()  # JSON can hold half a character, which could never be written again: UnicodeEncodeError
    return value


@dataclass(frozen=True)
class _Reader:
    read: Callable[[Folder, list[Path], Holes], Source]
    files: str  # a regular expression of the caption files' names in lower case
    wanted: str  # the same for people


# In the order in which `detect_format` looks.
_READERS = {
    "flickr8k": _Reader(_read_flickr8k, r"flickr8k\.token\.txt", "Flickr8k.token.txt"),
    "karpathy": _Reader(_read_karpathy, r"dataset(_.*)?\.json", "dataset_*.json"),
    "kaggle": _Reader(_read_kaggle, r"captions\.txt", "captions.txt"),
    "coco": _Reader(_read_coco, r"captions.*\.json", "captions*.json, also in annotations/"),
    "csv": _Reader(_read_csv, r".*\.[ct]sv", "captions.csv or another .csv or .tsv"),
}
FORMATS = tuple(_READERS)

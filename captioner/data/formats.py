"""Read a folder with photos and captions, in any of the usual layouts, into one CaptionDataset.

`read_dataset` is where to begin. Each layout has a reader here that turns its caption files into a `Source`: rows
(image name, caption) and, where the files say so, the image names of every split. `folder` finds the files,
`text_files` and `tables` open them, and `splits` joins the source with the photos. What is wrong in the files is
counted in `issues`, and is an error only when no photo is left.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from captioner.data.data_issues import DataIssue, DataIssues
from captioner.data.dataset import SPLITS, CaptionDataset
from captioner.data.folder import Folder, leads_out
from captioner.data.splits import SPLIT_NAMES, Source, join, lists_by_word, random_split
from captioner.data.tables import Row, is_record, read_json_rows, read_table
from captioner.data.text_files import as_text, holds_records, read_lines, read_lists
from captioner.errors import CaptionerError

__all__ = ["FORMATS", "detect_format", "leads_out", "random_split", "read_dataset"]

# What reading an entry of a JSON list raises when it is not what its format says.
_BROKEN = (AttributeError, KeyError, TypeError, UnicodeEncodeError)


def read_dataset(directory: Path, data_format: str = "auto", seed: int = 0) -> CaptionDataset:
    """Read the photos and captions of `directory`.

    Args:
        directory: a folder with caption files and photos, or folders of those.
        data_format: one of FORMATS, or "auto" to recognise the files there.
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
    paths = reader.find(folder)
    if not paths:
        raise CaptionerError(
            f"no {data_format} captions in {folder.root}: looked for {reader.wanted}; there is: {folder.contents()}. "
            "Name another folder, or another data format"
        )
    folder.caption_folder = paths[0].parent
    issues = DataIssues()
    return join(folder, reader.read(folder, paths, issues), seed, issues)


def detect_format(directory: Path) -> str:
    """Return the name of the first format whose files lie in `directory`.

    Raises:
        CaptionerError: there is no such folder, or no caption file of a known format in it.
    """
    return _detect(Folder(Path(directory)))


def _detect(folder: Folder) -> str:
    for name, reader in _READERS.items():
        paths = reader.find(folder)
        if paths and reader.fits(paths):
            return name
    wanted = "; ".join(f"{name}: {reader.wanted}" for name, reader in _READERS.items())
    raise CaptionerError(
        f"no caption file in {folder.root}. Looked for {wanted}. There is: {folder.contents()}. "
        "Name the folder that holds the caption file and the photos"
    )


def _read_flickr8k(folder: Folder, paths: list[Path], issues: DataIssues) -> Source:
    """`name.jpg#0<TAB>caption` lines and one list of names a split (Hodosh, Young & Hockenmaier 2013).

    Flickr30k's results_20130124.token has such lines too (Young, Lai, Hodosh & Hockenmaier 2014).
    """
    path = _only(paths, folder)
    rows = []
    seen = set()
    for number, line in read_lines(path, issues):
        key, tab, caption = line.partition("\t")
        if not tab:
            issues.add(DataIssue.NO_TAB, f"{path.name} line {number}")
        elif line in seen:
            issues.add(DataIssue.REPEATED, f"{path.name} line {number}")
        else:
            seen.add(line)
            name, mark, _ = key.rpartition("#")
            rows.append((name.strip() if mark else key.strip(), caption))
    return Source(
        rows, _split_files(folder, issues), name="flickr8k" if "flickr8k" in path.name.lower() else "flickr30k"
    )


def _read_karpathy(folder: Folder, paths: list[Path], issues: DataIssues) -> Source:
    """`images[]` with `filename`, `split` and `sentences[]` (Karpathy & Fei-Fei 2015)."""
    path = _only(paths, folder)
    (images,) = read_lists(path, ("images",), issues)
    rows = []
    splits = []
    for number, image in enumerate(images):
        try:
            name = as_text(image["filename"])
            inner = as_text(image.get("filepath") or "")
            if inner and folder.photo(f"{inner}/{name}"):
                name = f"{inner}/{name}"
            sentences = image.get("sentences", [])
            rows += [(name, as_text(s["raw"] if "raw" in s else " ".join(s["tokens"]))) for s in sentences]
            splits.append((name, as_text(image.get("split", ""))))
        except _BROKEN:
            issues.add(DataIssue.BROKEN, f"{path.name} images[{number}]")
    lists = lists_by_word(splits, issues) if any(word for _, word in splits) else None
    return Source(rows, lists, name=next((name for name in ("flickr8k", "flickr30k") if name in path.name.lower()), ""))


def _read_kaggle(folder: Folder, paths: list[Path], issues: DataIssues) -> Source:
    """Rows `image,caption`. Two people may have written the same words, so equal rows all count."""
    path = _only(paths, folder)
    return Source(_with_image(read_table(path, issues), path, issues), _split_files(folder, issues))


def _read_coco(folder: Folder, paths: list[Path], issues: DataIssues) -> Source:
    """`images[]` and `annotations[]`, a file a split by its name (Chen et al. 2015, Microsoft COCO Captions)."""
    rows = []
    lists: dict[str, list[str]] = {}
    without_split: list[str] = []
    for path in paths:
        images, annotations = read_lists(path, ("images", "annotations"), issues)
        names: dict[Any, str] = {}
        for number, image in enumerate(images):
            try:
                names[image["id"]] = as_text(image["file_name"])
            except _BROKEN:
                issues.add(DataIssue.BROKEN, f"{path.name} images[{number}]")
        for number, annotation in enumerate(annotations):
            try:
                rows.append((names[annotation["image_id"]], as_text(annotation["caption"])))
            except _BROKEN:
                issues.add(DataIssue.BROKEN, f"{path.name} annotations[{number}]")
        word = re.search("train|val|dev|test", path.stem.lower())
        listed = lists.setdefault(SPLIT_NAMES[word[0]], []) if word else without_split
        listed += names.values()
    if not lists:
        return Source(rows)
    for name in without_split:
        issues.add(DataIssue.NO_SPLIT, name)
    return Source(rows, lists)


def _read_csv(folder: Folder, paths: list[Path], issues: DataIssues) -> Source:
    """Rows with a photo, a caption and perhaps a split, as people, spreadsheets and `predict` write them."""
    path = _only(paths, folder)
    return _from_rows(read_table(path, issues), path, issues)


def _read_jsonl(folder: Folder, paths: list[Path], issues: DataIssues) -> Source:
    """The same as JSON objects, one a line or in a list."""
    path = _only(paths, folder)
    return _from_rows(read_json_rows(path, issues), path, issues)


def _read_imagefolder(folder: Folder, paths: list[Path], issues: DataIssues) -> Source:
    """A metadata.csv or metadata.jsonl in a folder for each split, as Hugging Face's data sets have them."""
    rows: list[tuple[str, str]] = []
    lists: dict[str, list[str]] = {split: [] for split in SPLITS}
    for path in paths:
        read = read_table if path.suffix.lower() == ".csv" else read_json_rows
        inner = path.parent.relative_to(folder.root).as_posix()
        own = [
            (name if leads_out(name) else f"{inner}/{name}", caption) for name, caption in _named(read, path, issues)
        ]
        lists[SPLIT_NAMES[path.parent.name.lower()]] += dict.fromkeys(name for name, _ in own)
        rows += own
    return Source(rows, lists)


def _named(read: Callable[[Path, DataIssues], list[Row]], path: Path, issues: DataIssues) -> list[tuple[str, str]]:
    return _with_image(_unlike(read(path, issues), issues), path, issues)


def _read_sidecars(folder: Folder, paths: list[Path], issues: DataIssues) -> Source:
    """A text file beside each photo, dog.txt or dog.jpg.txt, a caption a line, as `predict --sidecar` writes it."""
    rows = []
    for photo, text in folder.sidecars():
        name = photo.relative_to(folder.root).as_posix()
        rows += [(name, line.strip()) for _, line in read_lines(text, issues)] or [(name, "")]
    for name in sorted(folder.ambiguous):
        issues.add(DataIssue.SEVERAL, name)
    return Source(rows, _lists_by_folder([name for name, _ in rows]))


def _from_rows(rows: list[Row], path: Path, issues: DataIssues) -> Source:
    lists = None
    if any(row.split.strip() for row in rows):
        lists = lists_by_word(((row.image, row.split) for row in rows), issues)
    elif path.stem.lower() == "metadata":
        lists = _lists_by_folder([row.image for row in rows])
    return Source(_with_image(_unlike(rows, issues), path, issues), lists)


def _lists_by_folder(names: list[str]) -> dict[str, list[str]] | None:
    """Return the names of every split, where each name begins with a folder that is called like one."""
    lists: dict[str, dict[str, None]] = {split: {} for split in SPLITS}
    for name in map(str.strip, names):
        first, slash, _ = name.replace("\\", "/").partition("/")
        split = SPLIT_NAMES.get(first.lower())
        if not slash or not split:
            return None
        lists[split][name] = None
    return {split: list(listed) for split, listed in lists.items()}


def _only(paths: list[Path], folder: Folder) -> Path:
    for usual in (("captions", "dataset"), ("metadata",), ("results",)):
        preferred = [path for path in paths if path.stem.lower() in usual]
        if preferred:
            paths = preferred
            break
    if len(paths) > 1:
        raise CaptionerError(
            f"several caption files in {folder.root}: {', '.join(path.name for path in paths)}; "
            "leave the one to read, and move the others elsewhere"
        )
    return paths[0]


def _unlike(rows: Iterable[Row], issues: DataIssues) -> list[Row]:
    """Return the rows without those that are in all columns like one before."""
    found: dict[Row, None] = {}
    for row in rows:
        if row in found:
            issues.add(DataIssue.REPEATED, row.image)
        found[row] = None
    return list(found)


def _split_files(folder: Folder, issues: DataIssues) -> dict[str, list[str]] | None:
    lists = {}
    for split in SPLITS:
        for path in folder.matching(rf"flickr_8k\.{split}images\.txt"):
            lists[split] = [line.strip() for _, line in read_lines(path, issues)]
    return lists or None


def _with_image(rows: Iterable[Row], path: Path, issues: DataIssues) -> list[tuple[str, str]]:
    named = []
    for image, caption, *_ in rows:
        if image.strip():
            named.append((image.strip(), caption))
        else:
            issues.add(DataIssue.BROKEN, f"{path.name}, no image: {caption}")
        if "\n" in caption.strip():
            issues.add(DataIssue.SEVERAL_LINES, image)
    return named


def _files(pattern: str) -> Callable[[Folder], list[Path]]:
    """Return a function that finds the caption files whose names in lower case the regular expression matches."""
    return lambda folder: folder.matching(pattern)


def _split_tables(folder: Folder) -> list[Path]:
    return folder.matching_in(SPLIT_NAMES, r"metadata\.(csv|jsonl)")


def _first_sidecar(folder: Folder) -> list[Path]:
    return [text for _, text in islice(folder.sidecars(), 1)]


def _is_one_object(paths: list[Path]) -> bool:
    return not holds_records(paths[0], is_record)


def _always(paths: list[Path]) -> bool:
    return True


@dataclass(frozen=True)
class _Reader:
    read: Callable[[Folder, list[Path], DataIssues], Source]
    find: Callable[[Folder], list[Path]]
    wanted: str  # which files, for people
    fits: Callable[[list[Path]], bool] = _always  # whether the files that were found are of this format


# In the order in which `detect_format` looks.
_READERS = {
    "flickr8k": _Reader(
        _read_flickr8k,
        _files(r"(flickr8k|flickr30k|results(_\d+)?)\.token(\.txt)?"),
        "Flickr8k.token.txt or Flickr30k's results_20130124.token",
    ),
    "karpathy": _Reader(_read_karpathy, _files(r"dataset(_.*)?\.json"), "dataset_*.json"),
    "kaggle": _Reader(_read_kaggle, _files(r"captions\.txt"), "captions.txt"),
    "coco": _Reader(
        _read_coco, _files(r"captions.*\.json"), "captions*.json, also in annotations/", fits=_is_one_object
    ),
    "csv": _Reader(_read_csv, _files(r".*\.[ct]sv"), "captions.csv, metadata.csv or another .csv or .tsv"),
    "jsonl": _Reader(
        _read_jsonl, _files(r".*\.(jsonl|ndjson)|captions.*\.json"), "captions.jsonl, metadata.jsonl or another .jsonl"
    ),
    "imagefolder": _Reader(
        _read_imagefolder, _split_tables, "metadata.csv or metadata.jsonl in train/, validation/ and test/"
    ),
    "sidecar": _Reader(_read_sidecars, _first_sidecar, "a text file beside each photo, dog.txt beside dog.jpg"),
}
FORMATS = tuple(_READERS)

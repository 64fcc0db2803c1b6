"""Split photos into train, dev and test, and join captions, photos and splits to a CaptionDataset.

`formats` ends here: its readers bring a `Source`, which knows names only; `folder` knows where the photos lie.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from captioner.data.data_issues import DataIssue, DataIssues
from captioner.data.dataset import SPLITS, CaptionDataset, Example
from captioner.data.flickr8k_split import official_split
from captioner.data.folder import Folder
from captioner.errors import CaptionerError
from captioner.system.file_names import folded

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "restval": "train",
    "dev": "dev",
    "val": "dev",
    "valid": "dev",
    "validation": "dev",
    "test": "test",
}


@dataclass
class Source:
    """The contents of the caption files.

    Attributes:
        rows: (image name, caption) in the order of the files.
        lists: the image names of every split, if the files give any.
        name: of the data set, when it is another than that of its folder.
    """

    rows: list[tuple[str, str]]
    lists: Mapping[str, list[str]] | None = None
    name: str = ""


def lists_by_word(pairs: Iterable[tuple[str, str]], issues: DataIssues) -> dict[str, list[str]]:
    """Return the names of every split, in order, from pairs of a name and the word for its split, such as "val".

    A name stands once in a list, however many captions it has.
    """
    lists: dict[str, dict[str, None]] = {split: {} for split in SPLITS}
    for name, word in pairs:
        split = SPLIT_NAMES.get(word.strip().lower())
        if split:
            lists[split][name.strip()] = None
        else:
            issues.add(DataIssue.NO_SPLIT, f"{name}: {word}" if word else name)
    return {split: list(names) for split, names in lists.items()}


def random_split(names: Iterable[str], seed: int) -> dict[str, list[str]]:
    """Split `names` into 80% train, 10% dev, 10% test, each sorted; dev has one of two names or more.

    The order before cutting is that of a hash of seed and name, so that a photo more or less moves
    only the few photos at the cuts from one split to another.
    """

    def key(name: str) -> bytes:
        return hashlib.blake2b(f"{seed}:{name}".encode(errors="surrogatepass")).digest()

    shuffled = sorted(set(names), key=key)
    total = len(shuffled)
    dev = max(total // 10, int(total >= 2))
    test = max(total // 10, int(total >= 3))
    return {
        "train": sorted(shuffled[dev + test :]),
        "dev": sorted(shuffled[:dev]),
        "test": sorted(shuffled[dev : dev + test]),
    }


def join(folder: Folder, source: Source, seed: int, issues: DataIssues) -> CaptionDataset:
    """Find the photos of `source` in `folder`, and put them with their captions into the splits.

    The splits are those of the files; else Flickr8k's, if the names are; else random ones.

    Raises:
        CaptionerError: no photo with a caption is in any split.
    """
    captions: dict[Path, list[str]] = defaultdict(list)
    names: dict[Path, str] = {}
    for name, caption in source.rows:
        photo = folder.photo(name)
        if not photo:
            continue
        if not caption.strip():
            issues.add(DataIssue.BLANK, name)
        elif "\N{REPLACEMENT CHARACTER}" in caption:
            issues.add(DataIssue.LOST, f"{name}: {caption}")
        else:
            captions[photo].append(caption)
            names.setdefault(photo, name)

    official = None if source.lists else official_split(name for name, _ in source.rows)
    lists = source.lists or official or random_split(names.values(), seed)
    if source.lists and not lists.get("dev"):
        lists = _with_dev(
            lists, [name for name in lists.get("train", ()) if folder.photo(name) in captions], seed, issues
        )
    splits = _filled(lists, captions, folder, issues)

    reported = {folded(name) for listed in lists.values() for name in listed if not folder.photo(name)}
    for name in dict.fromkeys(name for name, _ in source.rows):
        if not folder.photo(name) and folded(name) not in reported:
            issues.add(_why_missing(folder, name, DataIssue.WITHOUT_PHOTO), name)
    for place, reason in folder.unreadable.items():
        issues.add(DataIssue.UNREADABLE, f"{place}: {reason}")
    for split, examples in splits.items():
        if not examples:
            issues.add(DataIssue.EMPTY_SPLIT, split)
    if not any(splits.values()):
        places = ", ".join(str(place) for place in folder.photo_folders)
        raise CaptionerError(
            f"no photo with a caption in any split of {folder.root}: {'; '.join(issues.phrases())}. "
            f"Photos were looked for in {places}, and then in all folders within; put them there under the names that "
            "the captions use"
        )
    return CaptionDataset("flickr8k" if official else source.name or folder.name, splits, issues.phrases())


def _with_dev(
    lists: Mapping[str, list[str]], usable: Sequence[str], seed: int, issues: DataIssues
) -> Mapping[str, list[str]]:
    """Return lists in which dev is a tenth of the usable photos of train, where there are two of them or more."""
    dev = random_split(usable, seed)["dev"]
    for name in dev:
        issues.add(DataIssue.DEV_FROM_TRAIN, name)
    taken = set(dev)
    return {**lists, "train": [name for name in lists.get("train", ()) if name not in taken], "dev": dev}


def _why_missing(folder: Folder, name: str, otherwise: DataIssue) -> DataIssue:
    """Return the issue of a name that stands for no photo."""
    if name in folder.ambiguous:
        return DataIssue.SEVERAL
    return DataIssue.OUTSIDE if folder.is_outside(name) else otherwise


def _filled(
    lists: Mapping[str, list[str]], captions: Mapping[Path, list[str]], folder: Folder, issues: DataIssues
) -> dict[str, tuple[Example, ...]]:
    """Return the examples of every split, in the order of its list."""
    splits: dict[str, tuple[Example, ...]] = dict.fromkeys(SPLITS, ())
    taken: dict[Path | str, str] = {}
    for split in reversed(SPLITS):  # a photo in two splits stays in test, then dev, so that scores stay comparable
        examples = []
        for name in lists.get(split, ()):
            photo = folder.photo(name)
            key = photo or folded(name)
            if key in taken:
                issues.add(DataIssue.LISTED_TWICE if taken[key] == split else DataIssue.TWO_SPLITS, name)
                continue
            taken[key] = split
            if not photo:
                issues.add(_why_missing(folder, name, DataIssue.LISTED_WITHOUT_PHOTO), name)
            elif photo not in captions:
                issues.add(DataIssue.LISTED_WITHOUT_CAPTION, name)
            else:
                examples.append(Example(photo, tuple(captions[photo])))
        splits[split] = tuple(examples)
    return splits

"""The folder of a data set: which caption files and photos lie where people usually put them.

`formats` looks for caption files with it, `splits` for the photos that those name.
"""

import errno
import os
import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PureWindowsPath

from captioner.data.holes import printable
from captioner.errors import CaptionerError

# Lower case, since folder names are compared without case. "Flicker8k" is how the official archive spells it.
PHOTO_FOLDERS = frozenset(
    ["flicker8k_dataset", "flickr8k_dataset", "images", "photos"]
    + [f"{split}{year}" for split in ("train", "val", "test") for year in (2014, 2015, 2017)]
)
TEXT_FOLDERS = frozenset(["flickr8k_text", "annotations"])

# A caption file may name any folder, so that these say no more than that a photo is not there.
_NO_SUCH_FOLDER = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL)


class Folder:
    """A data folder: the places in it where captions and photos usually lie.

    Attributes:
        root: its absolute path.
        photo_folders: where photos are looked for, the root first.

    Raises:
        CaptionerError: there is no such folder, or one within it cannot be listed; the methods raise it too.
    """

    def __init__(self, root: Path) -> None:
        try:
            state = "" if root.is_dir() else "is a file" if root.exists() else "does not exist"
        except OSError as error:
            state = f"cannot be reached ({error.strerror})"
        if state:
            raise CaptionerError(f"the data folder {root} {state}; name the folder that holds captions and photos")
        self.root = root.absolute()
        self._listings: dict[Path, _Listing] = {}
        self._found: dict[str, Path | None] = {}
        self._text_folders = self._places(TEXT_FOLDERS)
        self.photo_folders = self._places(PHOTO_FOLDERS)

    @property
    def name(self) -> str:
        """The folder's own name, after links."""
        return self.root.resolve().name

    def matching(self, pattern: str) -> list[Path]:
        """The files whose lower-case names the regular expression matches, from the first place that has any."""
        for folder in self._text_folders:
            names = sorted(name for name in self._listing(folder).files if re.fullmatch(pattern, name.lower()))
            if names:
                return [folder / name for name in names]
        return []

    def photo(self, name: str) -> Path | None:
        """The photo called `name`, relative to any of the photo folders; None when there is none."""
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._found[name]

    def contents(self) -> str:
        """What lies in the folder itself, ten names at most."""
        listing = self._listing(self.root)
        names = [f"{name}/" for name in listing.folders] + sorted(listing.files)
        return ", ".join([printable(name) for name in names[:10]] + ["..."] * (len(names) > 10)) or "nothing"

    def _find(self, name: str) -> Path | None:
        parts = PureWindowsPath(name).parts
        if not parts or leads_out(name):
            return None
        for folder in self.photo_folders:
            inner = folder.joinpath(*parts[:-1])
            found = self._listing(inner).find(parts[-1])
            if found is not None:
                return inner / found
        return None

    def _places(self, names: frozenset[str]) -> list[Path]:
        """The root, then its folders called one of `names`, and the same once more within those."""
        places = [self.root]
        for outer in self._inner_folders(self.root, PHOTO_FOLDERS | TEXT_FOLDERS):
            if outer.name.lower() in names:
                places.append(outer)
            places += self._inner_folders(outer, names)
        return places

    def _inner_folders(self, folder: Path, names: frozenset[str]) -> list[Path]:
        return [folder / name for name in self._listing(folder).folders if name.lower() in names]

    def _listing(self, folder: Path) -> "_Listing":
        if folder not in self._listings:
            try:
                with os.scandir(folder) as entries:
                    kinds = [(entry.name, _is_folder(entry)) for entry in entries]
            except OSError as error:
                if error.errno not in _NO_SUCH_FOLDER:
                    raise CaptionerError(
                        f"cannot list the folder {folder}: {error.strerror}; allow reading it"
                    ) from error
                kinds = []
            self._listings[folder] = _Listing(
                files=frozenset(name for name, is_folder in kinds if not is_folder),
                folders=tuple(sorted(name for name, is_folder in kinds if is_folder)),
            )
        return self._listings[folder]


@dataclass(frozen=True)
class _Listing:
    """The names in one folder, read once: 8,000 photos cost one listing instead of 8,000 look-ups."""

    files: frozenset[str]
    folders: tuple[str, ...]

    def find(self, name: str) -> str | None:
        """The file called `name`; else one whose name differs by case or Unicode form only."""
        return name if name in self.files else self._by_folded_name.get(folded(name))

    @cached_property
    def _by_folded_name(self) -> dict[str, str]:
        return {folded(file): file for file in sorted(self.files, reverse=True)}


def leads_out(name: str) -> bool:
    """Whether a file name in a caption file is absolute, on any system, or climbs out of its folder."""
    path = PureWindowsPath(name)
    return bool(path.drive or path.root) or ".." in path.parts or "\0" in name


def folded(name: str) -> str:
    """What is equal for two names that differ by case or Unicode form only."""
    return unicodedata.normalize("NFC", name).casefold()


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle, or to where we may not look
        return False

"""The folder of a data set: find caption files and photos in the usual places.

`formats` looks for caption files with it, `splits` for the photos that those name.
"""

import errno
import os
import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath, PureWindowsPath

from captioner.data.data_issues import printable
from captioner.errors import CaptionerError
from captioner.photos.finding import is_photo
from captioner.system.file_names import folded
from captioner.system.folders import walk_once

# Lower case, since folder names are compared without case. "Flicker8k" is how the official archive spells it.
PHOTO_FOLDERS = frozenset(
    ["flicker8k_dataset", "flickr8k_dataset", "flickr30k-images", "flickr30k_images", "images", "photos"]
    + [f"{split}{year}" for split in ("train", "val", "test") for year in (2014, 2015, 2017)]
)
TEXT_FOLDERS = frozenset(["flickr8k_text", "flickr30k", "annotations"])

MOST_ALIKE = 100
"""Folders with a photo of the same name that are compared with a path; a name that so many have says little."""

LONGEST_PATH = 4096
"""Characters; no system opens a longer one."""

# A caption file may name any folder, so that these say no more than that a photo is not there.
_NO_SUCH_FOLDER = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL)


class Folder:
    """A data folder: the places in it where captions and photos usually lie.

    Attributes:
        root: its absolute path.
        photo_folders: where photos are looked for first, the root before all; then in every other folder within.
        caption_folder: where the caption file lies, which paths in it may be relative to.
        ambiguous: names asked for that stand for several photos.
        unreadable: folders, met in looking everywhere, that cannot be listed, and why.

    Raises:
        CaptionerError: there is no such folder, or a usual place within it cannot be listed; the methods raise it too.
    """

    def __init__(self, root: Path) -> None:
        try:
            state = "" if root.is_dir() else "is a file" if root.exists() else "does not exist"
            self.root = root.absolute()
        except OSError as error:
            state = f"cannot be reached ({error.strerror})"
        if state:
            raise CaptionerError(f"the data folder {root} {state}; name the folder that holds captions and photos")
        self.caption_folder = self.root
        self.ambiguous: set[str] = set()
        self.unreadable: dict[Path, str] = {}
        self._listings: dict[Path, _Listing] = {}
        self._first_paths: dict[tuple[int, int], Path] = {}
        self._known_paths: dict[Path, Path] = {}
        self._resolved: dict[str, str] = {}
        self._found: dict[str, Path | None] = {}
        self.photo_folders = self._places(PHOTO_FOLDERS)
        self._text_folders = list(dict.fromkeys([*self._places(TEXT_FOLDERS), *self.photo_folders]))

    @property
    def name(self) -> str:
        """The folder's own name, after links."""
        return self.root.resolve().name

    def matching(self, pattern: str) -> list[Path]:
        """Return the files whose lower-case names the regular expression matches, from the first place that has any."""
        for folder in self._text_folders:
            found = self._files(folder, pattern)
            if found:
                return found
        return []

    def matching_in(self, names: Container[str], pattern: str) -> list[Path]:
        """Return the files that match in the folders called one of `names`, of the root or of its folder `data`."""
        outer = [self.root, *(self.root / name for name in self._listing(self.root).folders if name.lower() == "data")]
        inner = [place / name for place in outer for name in self._listing(place).folders if name.lower() in names]
        return [path for folder in inner for path in self._files(folder, pattern)]

    def photo(self, name: str) -> Path | None:
        """Return the photo that a caption file calls `name`; None when there is none, or when there are several.

        It may be relative to the root or to any photo folder, or to where the user or the caption file is; it may be
        absolute, begin with the folders that lead to the root, or lack its extension. What is at none of these places
        is taken from any other folder within the root. A photo has one path, by whatever links it is reached.
        """
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._found[name]

    def is_outside(self, name: str) -> bool:
        """Return whether a name that stands for no photo leads out of the root: it climbs, or begins elsewhere."""
        return leads_out(name) and (".." in PureWindowsPath(name).parts or not any(self._readings(name)))

    def contents(self) -> str:
        """Return the names in the folder itself, ten at most, in one line."""
        listing = self._listing(self.root)
        names = [f"{name}/" for name in listing.folders] + sorted(listing.files)
        return ", ".join([printable(name) for name in names[:10]] + ["..."] * (len(names) > 10)) or "nothing"

    def sidecars(self) -> Iterator[tuple[Path, Path]]:
        """Yield every photo that has a text file beside it, dog.jpg.txt or dog.txt, and that file.

        A dog.txt beside both a dog.jpg and a dog.png is nobody's; its name goes to `ambiguous`.
        """
        for folder in self._everywhere:
            listing = self._listings[folder]
            for name in sorted(listing.photos):
                text = listing.find(f"{name}.txt")
                stem = name.rpartition(".")[0]
                if text is None and (text := listing.find(f"{stem}.txt")) and len(listing.by_stem(stem)) > 1:
                    self.ambiguous.add(str((folder / text).relative_to(self.root)))
                    text = None
                if text is not None:
                    yield folder / name, folder / text

    def _find(self, name: str) -> Path | None:
        for parts in self._readings(name):
            for folder in self.photo_folders:
                inner = folder.joinpath(*parts[:-1])
                listing = self._listing(inner)
                found = listing.find(parts[-1])
                if found is not None:
                    return self._first_path(inner) / found
                if len(several := listing.photos_called(parts[-1])) > 1:
                    self.ambiguous.add(name)
                    return None
                if several:
                    return self._first_path(inner) / several[0]
        for parts in self._readings(name):
            elsewhere = self._elsewhere(parts)
            if len(elsewhere) > 1:
                self.ambiguous.add(name)
                return None
            if elsewhere:
                return elsewhere[0]
        return None

    def _readings(self, name: str) -> Iterator[tuple[str, ...]]:
        """Yield the paths below the root that a name may stand for, likeliest first; some more than once."""
        path = PureWindowsPath(name)
        if not path.parts or "\0" in name:
            return
        if not leads_out(name):
            yield path.parts
        yield from self._below_root(name)
        parts = path.parts[1:] if path.anchor else path.parts
        own = [place for place, part in enumerate(parts[:-1]) if folded(part) == folded(self.root.name)]
        for place in own[:1] + own[-1:]:
            if ".." not in parts[place + 1 :]:
                yield parts[place + 1 :]

    def _below_root(self, name: str) -> Iterator[tuple[str, ...]]:
        """Yield the parts below the root of a path that is absolute, or relative to the caption file or to the user."""
        if len(name) > LONGEST_PATH or (PureWindowsPath(name).drive and os.name != "nt"):
            return
        written = name.replace("\\", os.sep)
        for base in self._bases:
            path = os.path.normpath(os.path.join(base, written))  # noqa: PTH118  # fast: a table has many paths
            for root in self._roots:
                if path.startswith(root):
                    yield PurePath(path[len(root) :]).parts
        if os.path.isabs(written):  # noqa: PTH117
            folder, photo = os.path.split(os.path.normpath(written))
            if folder not in self._resolved:
                self._resolved[folder] = os.path.realpath(folder)
            path = os.path.join(self._resolved[folder], photo)  # noqa: PTH118
            if path.startswith(self._roots[-1]):
                yield PurePath(path[len(self._roots[-1]) :]).parts

    @cached_property
    def _bases(self) -> list[str]:
        """Where a path may begin: at the caption file, and where the user is."""
        try:
            here = [os.getcwd()]  # noqa: PTH109
        except OSError:  # it was deleted
            here = []
        return list(dict.fromkeys([str(self.caption_folder), *here]))

    @cached_property
    def _roots(self) -> list[str]:
        """The root as it was named and, last, as it is without links, each with a separator behind."""
        roots = dict.fromkeys((os.path.normpath(self.root), os.path.realpath(self.root)))
        return [os.path.join(root, "") for root in roots]  # noqa: PTH118

    def _elsewhere(self, parts: tuple[str, ...]) -> list[Path]:
        """Return the photos in any folder within the root whose paths end so, two at most."""
        wanted = [folded(part) for part in parts]
        found = []
        for folder in self._folders_by_photo.get(wanted[-1], [])[:MOST_ALIKE]:
            own = [folded(part) for part in folder.relative_to(self.root).parts]
            if own[max(0, len(own) - len(wanted) + 1) :] == wanted[:-1]:
                listing = self._listings[folder]
                found += [
                    folder / name
                    for name in dict.fromkeys([listing.find(parts[-1]), *listing.photos_called(parts[-1])])
                    if name
                ]
            if len(found) > 1:
                break
        return found

    @cached_property
    def _folders_by_photo(self) -> dict[str, list[Path]]:
        """For the names of all photos, folded, with and without extension: where they lie."""
        found: dict[str, list[Path]] = {}
        for folder in self._everywhere:
            for name in self._listings[folder].photos:
                for key in dict.fromkeys((folded(name), folded(name.rpartition(".")[0]))):
                    places = found.setdefault(key, [])
                    if places[-1:] != [folder]:
                        places.append(folder)
        return found

    @cached_property
    def _everywhere(self) -> list[Path]:
        """The root and all folders that `walk_once` finds within, each by the path by which it was first met."""
        found = []
        for parent, folders, files in walk_once(self.root, self._note_unreadable):
            folder = self._first_path(Path(parent))
            self._listings.setdefault(folder, _Listing(frozenset(files), tuple(folders)))
            found.append(folder)
        return found

    def _note_unreadable(self, error: OSError) -> None:
        self.unreadable[Path(error.filename)] = _cannot_list(error.filename, error)

    def _places(self, names: frozenset[str]) -> list[Path]:
        """Return the root, then its folders called one of `names`, and the same once more within those; each once."""
        places = [self.root]
        for outer in self._inner_folders(self.root, PHOTO_FOLDERS | TEXT_FOLDERS):
            if outer.name.lower() in names:
                places.append(outer)
            places += self._inner_folders(outer, names)
        return list(dict.fromkeys(map(self._first_path, places)))

    def _inner_folders(self, folder: Path, names: frozenset[str]) -> list[Path]:
        return [folder / name for name in self._listing(folder).folders if name.lower() in names]

    def _files(self, folder: Path, pattern: str) -> list[Path]:
        names = sorted(name for name in self._listing(folder).files if re.fullmatch(pattern, name.lower()))
        return [folder / name for name in names]

    def _first_path(self, folder: Path) -> Path:
        """Return the path by which a folder was first met, the same for all that lead to it."""
        if folder not in self._known_paths:
            try:
                state = folder.stat()
                self._known_paths[folder] = self._first_paths.setdefault((state.st_dev, state.st_ino), folder)
            except OSError:
                self._known_paths[folder] = folder
        return self._known_paths[folder]

    def _listing(self, folder: Path) -> "_Listing":
        if folder not in self._listings:
            try:
                with os.scandir(folder) as entries:
                    kinds = [(entry.name, _is_folder(entry)) for entry in entries]
            except OSError as error:
                if error.errno not in _NO_SUCH_FOLDER:
                    raise CaptionerError(_cannot_list(folder, error)) from error
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
        """Return the file called `name`; else one whose name differs by case or Unicode form only."""
        return name if name in self.files else self._by_folded_name.get(folded(name))

    def photos_called(self, name: str) -> list[str]:
        """Return the photos that a name without an extension stands for."""
        return [] if is_photo(name) else self.by_stem(name)

    def by_stem(self, stem: str) -> list[str]:
        """Return the photos whose names without extension are `stem`, except for case and Unicode form."""
        return self._by_folded_stem.get(folded(stem), [])

    @cached_property
    def photos(self) -> frozenset[str]:
        """The files that are photos by their names, hidden ones excepted."""
        return frozenset(name for name in self.files if is_photo(name) and not name.startswith("."))

    @cached_property
    def _by_folded_name(self) -> dict[str, str]:
        return {folded(file): file for file in sorted(self.files, reverse=True)}

    @cached_property
    def _by_folded_stem(self) -> dict[str, list[str]]:
        stems: dict[str, list[str]] = {}
        for name in sorted(self.photos):
            stems.setdefault(folded(name.rpartition(".")[0]), []).append(name)
        return stems


def leads_out(name: str) -> bool:
    """Return whether a file name in a caption file is absolute, on any system, or climbs out of its folder."""
    path = PureWindowsPath(name)
    return bool(path.drive or path.root) or ".." in path.parts or "\0" in name


def _cannot_list(folder: str | Path, error: OSError) -> str:
    return f"cannot list the folder {folder}: {error.strerror}; allow reading it"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle, or to where we may not look
        return False

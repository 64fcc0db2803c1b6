"""Find Flickr8k on disk, or download, verify and unpack it.

Hodosh, Young & Hockenmaier 2013, "Framing Image Description as a Ranking Task", JAIR 47.
"""

import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from captioner.data.dataset import CaptionDataset
from captioner.data.folder import leads_out
from captioner.data.formats import detect_format, read_dataset
from captioner.errors import CaptionerError
from captioner.system.atomic import naming, tells_of_no_room
from captioner.system.download import WrongFileError, obtain, verify
from captioner.system.locks import locked_directory
from captioner.system.progress import progress_bar

HOME = Path("datasets", "flickr8k")
BASE_URL = "https://github.com/jbrownlee/Datasets/releases/download/Flickr8k/"
MAX_UNPACKED = 4 << 30  # bytes; the photos are 1.1 GB
MAX_RATIO = 100  # unpacked to packed size; photos have 1, captions about 4
MAX_MEMBERS = 100_000


@dataclass(frozen=True)
class Archive:
    """One of the two zip files: its name, the MD5 of its bytes, and the folder that it becomes."""

    name: str
    md5: str
    folder: str


ARCHIVES = (
    Archive("Flickr8k_Dataset.zip", "f18a1e2920de5bd84dae7cf08ec78978", "Flicker8k_Dataset"),
    Archive("Flickr8k_text.zip", "bf6c1abcb8e4a833b7f922104de18627", "Flickr8k_text"),
)


def find_or_download(
    data: str | Path | None,
    data_format: str = "auto",
    seed: int = 0,
    environ: Mapping[str, str] = os.environ,
) -> CaptionDataset:
    """Read the data set in `data`, else in $CAPTIONER_DATA, else in datasets/flickr8k, else download Flickr8k there.

    Of Flickr8k's photos and captions only those are downloaded that are not there. A download that was cut off goes
    on where it stopped. Archives that already lie in datasets/flickr8k are verified and unpacked like downloaded
    ones. $CAPTIONER_DATA_URL names another place to download from.

    Args:
        data: the folder that the user named, if any.
        data_format: as for `read_dataset`.
        seed: of the random split, for data sets without a split.
        environ: the environment variables.

    Raises:
        CaptionerError: a folder that the user named is missing (nothing is downloaded then), the data set cannot
            be read, or the download failed; the message says what to do.
    """
    named = environ.get("CAPTIONER_DATA") or None
    if data is not None or named is not None:
        origin, folder = ("--data", data) if data is not None else ("CAPTIONER_DATA", named)
        if not _is_folder(str(folder)):
            raise CaptionerError(f"{origin} names {str(folder)!r}, which is not a folder; name one that holds the data")
        return read_dataset(Path(str(folder)).expanduser(), data_format, seed)
    try:
        return read_dataset(HOME, data_format, seed)
    except CaptionerError as error:
        if not _is_unfinished(HOME):
            raise
        if data_format not in ("auto", "flickr8k"):
            raise CaptionerError(
                f"only Flickr8k can be downloaded; name the folder of your {data_format} data by --data"
            ) from error
    download(HOME, environ.get("CAPTIONER_DATA_URL") or BASE_URL)
    return read_dataset(HOME, data_format, seed)


def download(home: Path, base_url: str = BASE_URL) -> None:
    """Download both archives into `home`, verify and unpack them; what is there already is not fetched again.

    Raises:
        CaptionerError: no network, no such file there, or an archive that is not the right one.
        OSError: the disk is full.
    """
    urls = [f"{base_url.rstrip('/')}/{archive.name}" for archive in ARCHIVES]
    advice = (
        f"Run the same command again to resume; or put {' and '.join(urls)} into {home} by other means; "
        "or name a folder that holds photos and captions by --data"
    )
    for archive, url in zip(ARCHIVES, urls, strict=True):
        try:
            with locked_directory(home):  # a second download finds what the first has brought
                packed, folder = home / archive.name, home / archive.folder
                if not folder.is_dir() and not _unpacked(folder).is_dir():
                    _obtain(url, packed, archive)
                    _unpack(packed, folder)
                packed.unlink(missing_ok=True)  # before the folder has its name, after which nobody looks for it
                if not folder.is_dir():
                    _unpacked(folder).replace(folder)
        except (OSError, HTTPException, ValueError) as error:
            if tells_of_no_room(error):
                raise
            raise CaptionerError(f"cannot get {archive.name} from {url}: {error}. {advice}") from error


def _is_folder(name: str) -> bool:
    try:
        return bool(name) and Path(name).expanduser().is_dir()
    except (OSError, RuntimeError):  # too long, not to be reached; no user of that name
        return False


def _is_unfinished(home: Path) -> bool:
    """Return whether `home` holds no captions at all, or Flickr8k's without both of its folders."""
    try:
        return detect_format(home) == "flickr8k" and not all((home / archive.folder).is_dir() for archive in ARCHIVES)
    except CaptionerError:
        return True


def _obtain(url: str, packed: Path, archive: Archive) -> None:
    """Check that `packed` is the complete archive; download it if it is missing."""
    if packed.exists():
        verify(packed, archive.md5, "delete it, or put the right one there")
    else:
        obtain(url, packed, archive.md5)


def _unpacked(folder: Path) -> Path:
    """Return the name that a folder has from when all of it is there until its archive is removed."""
    return folder.with_name(f".{folder.name}.unpacked")


def _unpack(packed: Path, folder: Path) -> None:
    """Unpack into a temporary folder; then rename its only top folder, or else all of it, to `_unpacked(folder)`."""
    temporary = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with naming(folder), zipfile.ZipFile(packed) as file:
            members = [info for info in file.infolist() if not info.filename.startswith("__MACOSX/")]
            _refuse_hostile(members, packed)
            for info in progress_bar(members, desc=f"unpacking {packed.name}", unit="file", delay=2):
                file.extract(info, temporary)
        top = list(temporary.iterdir())
        (top[0] if len(top) == 1 and top[0].is_dir() else temporary).replace(_unpacked(folder))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # RuntimeError: encrypted, or odd packing
        raise WrongFileError(f"{packed} cannot be unpacked ({error}); delete it") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _refuse_hostile(members: list[zipfile.ZipInfo], packed: Path) -> None:
    """Raise if a member leads out of the folder or is no plain file, or if the archive unpacks to too much."""
    for info in members:
        kind = stat.S_IFMT(info.external_attr >> 16)
        if leads_out(info.filename) or kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise WrongFileError(f"{packed} holds {info.filename!r}, a link or a path out of its folder; delete it")
    size = sum(info.file_size for info in members)
    if size > MAX_UNPACKED or size > MAX_RATIO * packed.stat().st_size or len(members) > MAX_MEMBERS:
        raise WrongFileError(f"{packed} would unpack to {len(members)} files of {size} bytes, too many; delete it")
    if not size:
        raise WrongFileError(f"{packed} is empty; delete it")

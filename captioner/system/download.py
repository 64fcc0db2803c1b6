"""Download a file whose MD5 is known; an interrupted download resumes."""

import hashlib
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from captioner.system.atomic import naming
from captioner.system.progress import progress_bar

TIMEOUT = 30.0  # seconds without a byte
CHUNK = 1 << 20  # bytes


class WrongFileError(ValueError):
    """A file is not the one that it should be, or no archive that is safe to unpack."""


def obtain(url: str, path: Path, md5: str) -> None:
    """Download `url` to `path`, through a file beside it, from which the next call resumes.

    The caller keeps other processes from the directory (`captioner.system.locks.locked_directory`).

    Raises:
        WrongFileError: the MD5 of what came is another one.
        OSError, HTTPException, ValueError: no network, no such file there, a full disk.
    """
    part = path.with_name(f"{path.name}.part")
    _fetch(url, part)
    try:
        verify(part, md5, "it has been removed")
    except WrongFileError:
        part.unlink()
        raise
    part.replace(path)


def verify(path: Path, md5: str, remedy: str) -> None:
    """Raise WrongFileError, which names the remedy, if a file has another MD5."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != md5:
        raise WrongFileError(f"the MD5 of {path} is {found}, not {md5}; {remedy}")


def _fetch(url: str, part: Path) -> None:
    """Download `url` into `part`, after the bytes that are there when the server can send a range."""

    done = part.stat().st_size if part.exists() else 0
    try:
        response = urlopen(Request(url, headers={"Range": f"bytes={done}-"} if done else {}), timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        if error.code == 416 and done:  # nothing lies after the last byte we have: MD5 shows whether it is whole
            return
        raise
    with response:
        if not (response.headers.get("Content-Range") or "").startswith(f"bytes {done}-"):
            done = 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else None
        with (
            naming(part),
            part.open("ab" if done else "wb") as file,
            progress_bar(
                desc=url.rpartition("/")[2], total=total, initial=done, unit="B", unit_scale=True, delay=2
            ) as bar,
        ):
            while chunk := response.read(CHUNK):
                done += file.write(chunk)
                bar.update(len(chunk))
    if total is not None and done < total:
        raise OSError(f"the connection broke off after {done} of {total} bytes")

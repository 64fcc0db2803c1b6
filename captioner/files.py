"""Write files so that a reader finds the old one or the new one, never half of either."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from captioner.errors import CaptionerError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; rename it over `path` when the block ends well.

    The stand-in's name ends like that of `path`, since many writers choose their format by it. When the
    block raises, or is interrupted, the stand-in is removed and `path` stays as it was.

    Raises:
        OSError: the directory cannot be made or written to, or the disk is full.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".", suffix=f"-{path.name}", dir=path.parent)
    os.close(handle)
    beside = Path(name)
    try:
        yield beside
        with beside.open("rb+") as written:
            os.fsync(written.fileno())
        beside.chmod(0o666 & ~_umask())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` in UTF-8 with Unix line ends, whole or not at all."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` to `path` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: str | Path, what: str) -> Any:
    """Read the JSON file at `path`; `what` names its role in an error message.

    Raises:
        CaptionerError: the file is missing, unreadable, or not JSON in UTF-8.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise CaptionerError(f"cannot read the {what} {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, too many digits, too deep
        raise CaptionerError(
            f"the {what} {path} is not valid JSON in UTF-8 ({error}); restore it from where it came"
        ) from error


def cache_directory() -> Path:
    """The directory for files that can be made again: $XDG_CACHE_HOME/captioner, else ~/.cache/captioner."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "captioner"


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask

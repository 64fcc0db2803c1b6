"""Write an export, which is a directory, so that a reader finds the old one or the new one, never half of either."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from captioner import __version__
from captioner.errors import CaptionerError
from captioner.model_files.exports import MARKER
from captioner.system.atomic import stand_in, sweep
from captioner.system.files import read_json, write_json
from captioner.system.folders import current_directory

FILES = "files"
"""What the marker calls the list of the files of an export."""


def check_output(output: Path) -> None:
    """Refuse a path that holds anything but an earlier export.

    Raises:
        CaptionerError: `output` is a file, a directory with something else in it, an export to which something was
            added, or the directory that the process stands in.
    """
    if output.exists() and not output.is_dir():
        raise CaptionerError(f"--output {output}: is a file; expected a directory to make")
    here = current_directory()
    if here and here.is_relative_to(output.resolve()):  # replaced, it would be gone from under the user's shell
        raise CaptionerError(f"--output {output}: is where you are; name a directory to make in it")
    if output.is_dir() and any(output.iterdir()) and not (output / MARKER).is_file():
        raise CaptionerError(
            f"--output {output}: is a directory with other things in it ({MARKER} is missing, so it is no former "
            "export); name a new one"
        )
    if output.is_dir() and (added := _added(output)):
        raise CaptionerError(
            f"--output {output}: {added} was added to the export that is there, and would be lost; move it, or name a "
            "new directory"
        )


def _added(output: Path) -> str:
    """Return the first thing in an export that the export did not write, "" if there is none.

    Exports of earlier versions do not record what they wrote; of those, only another export inside is found.
    """
    if not (output / MARKER).is_file():
        return ""
    marker = read_json(output / MARKER, "record of the export")
    known = marker.get(FILES) if isinstance(marker, dict) else None
    there = _files(output)
    if not isinstance(known, list):
        return next((each for each in there if each.endswith(f"/{MARKER}")), "")
    return next((each for each in there if each not in known and each != MARKER), "")


def _files(directory: Path) -> list[str]:
    """Return the files in a directory by their paths in it, without those that programs leave behind as they run."""
    paths = (path for path in sorted(directory.rglob("*")) if path.is_symlink() or not path.is_dir())
    names = (path.relative_to(directory).as_posix() for path in paths)
    return [name for name in names if not name.endswith((".DS_Store", "Thumbs.db")) and "__pycache__/" not in name]


@contextmanager
def atomic_directory(output: Path, **about: str) -> Iterator[Path]:
    """Yield a directory to write to; when the block ends without an error, it replaces `output`.

    When the block raises, or is interrupted, its files are removed and `output` does not change.

    Args:
        output: where the export goes; a former export there is replaced.
        about: what the marker says about the export.

    Raises:
        CaptionerError: see `check_output`.
        OSError: the directory beside `output` cannot be made or written to, or the disk is full.
    """
    output = output.resolve()  # a link's target is replaced, not the link
    check_output(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    sweep(output.parent, _rescue)
    with stand_in(output) as temporary:
        new, old = temporary / "new", temporary / "old"
        new.mkdir()  # unlike `beside`, with the permissions that the user's other directories get
        yield new
        write_json(new / MARKER, {**about, "captioner": __version__, FILES: _files(new)})
        check_output(output)  # the writing took a while
        try:
            if output.exists():
                output.rename(old)  # a directory with files in it cannot be renamed over
            new.rename(output)
        finally:
            if old.exists() and not output.exists():
                old.rename(output)


def _rescue(leftover: Path, name: str) -> bool:
    """Restore an export after a kill during its replacement; return whether the rest may be removed."""
    if not name:
        return not (leftover / "old").is_dir()
    output = leftover.with_name(name)
    for export in (leftover / "new", leftover / "old"):
        if (leftover / "old").is_dir() and (export / MARKER).is_file() and not output.exists():
            export.rename(output)
    return True

"""What the package logs, as lines on stderr, and its progress bars."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b

from captioner.system.cache import NOTES
from captioner.system.home import cache_directory
from captioner.system.printable import in_a_line
from captioner.system.progress import show_progress


class _Lines(logging.Handler):
    """A log handler that prints messages; warnings begin with the name of the command."""

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "once", False) and not _is_new(record.getMessage()):
            return
        prefix = "captioner: " if record.levelno >= logging.WARNING else ""
        print(prefix + in_a_line(record.getMessage()), file=sys.stderr, flush=True)


def _is_new(note: str) -> bool:
    """Return whether a note is new to this user, and record that it is shown now, if anything can be written."""
    path = cache_directory() / NOTES / blake2b(note.encode(errors="replace"), digest_size=16).hexdigest()
    if path.exists():
        return False
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return True


@contextmanager
def shown_messages() -> Iterator[None]:
    """Show messages and progress bars for a block."""
    logger, handler = logging.getLogger("captioner"), _Lines()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    # Some libraries make the root logger print; each message would appear twice.
    logger.propagate = False
    logger.setLevel(logging.INFO)
    show_progress()
    try:
        yield
    finally:
        show_progress(False)
        logger.setLevel(level)
        logger.propagate = propagate
        logger.removeHandler(handler)


def silence() -> None:
    """Show errors alone, and no progress bars, until the block of `shown_messages` ends."""
    logging.getLogger("captioner").setLevel(logging.ERROR)
    show_progress(False)

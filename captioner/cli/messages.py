"""What the package logs, as lines on stderr, and its progress bars."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from captioner.printable import in_a_line
from captioner.progress import show_progress


class _Lines(logging.Handler):
    """Prints messages; warnings begin with the name of the command."""

    def emit(self, record: logging.LogRecord) -> None:
        prefix = "captioner: " if record.levelno >= logging.WARNING else ""
        print(prefix + in_a_line(record.getMessage()), file=sys.stderr, flush=True)


@contextmanager
def shown_messages() -> Iterator[None]:
    """Show messages and progress bars for a block."""
    logger, handler = logging.getLogger("captioner"), _Lines()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    show_progress()
    try:
        yield
    finally:
        show_progress(False)
        logger.setLevel(level)
        logger.removeHandler(handler)

"""What the package logs, as lines on stderr; warnings begin with the name of the command."""

import logging
import sys

from captioner.printable import in_a_line


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        prefix = "captioner: " if record.levelno >= logging.WARNING else ""
        print(prefix + in_a_line(record.getMessage()), file=sys.stderr, flush=True)


def show_messages() -> None:
    """Show what the package logs from now on, a line a message."""
    logger = logging.getLogger("captioner")
    logger.setLevel(logging.INFO)
    if not any(isinstance(handler, _Lines) for handler in logger.handlers):
        logger.addHandler(_Lines())

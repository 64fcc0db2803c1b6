"""The parser of a command's arguments."""

import argparse
from typing import NoReturn

from captioner.printable import in_a_line


class Parser(argparse.ArgumentParser):
    """Parses arguments, and escapes in its errors what a file's name could do to a terminal."""

    def error(self, message: str) -> NoReturn:
        """Print usage and message, and exit with status 2."""
        super().error(in_a_line(message))

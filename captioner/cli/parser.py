"""The parser of a command's arguments."""

import argparse
import re
import sys
from typing import Any, NoReturn

from captioner.system.printable import in_a_line

_IN_A_CLONE = re.compile(r"(?:python )?\b(predict|train)\.py")


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are two lines, in which control characters of file names are escaped.

    Its texts name the programs of a clone, `python predict.py` and `python -m captioner`; the help that is shown names
    the program as the user started it.
    """

    def error(self, message: str) -> NoReturn:
        """Print the message and where the options are explained, and exit with status 2."""
        self.exit(2, f"captioner: {in_a_line(message)}\nSee {self.prog} --help.\n")

    def print_help(self, file: Any = None) -> None:
        """Write the help; unlike argparse, which is silent where it cannot be written.

        Raises:
            OSError: there is nowhere to write it.
        """
        (file or sys.stdout).write(self.format_help())

    def format_help(self) -> str:
        """Return the help, in which commands begin with the name by which this one was started."""
        for action in self._actions:
            action.help = action.help and self._as_started(action.help)
        for group in self._action_groups:
            group.description = group.description and self._as_started(group.description)
        self.description, self.epilog = self._as_started(self.description or ""), self._as_started(self.epilog or "")
        return super().format_help()

    def _as_started(self, text: str) -> str:
        program, _, command = self.prog.rpartition(" ")
        if not program or command.endswith(".py"):
            return text
        return _IN_A_CLONE.sub(rf"{program} \1", text).replace("python -m captioner", program)

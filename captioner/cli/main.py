"""The `captioner` command: choose the subcommand, and turn errors into a message and an exit status."""

import argparse
import errno
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

from captioner import __version__
from captioner.cli.descriptors import open_closed, stdout_is_closed
from captioner.cli.messages import shown_messages, silence
from captioner.cli.parser import Parser
from captioner.errors import CaptionerError
from captioner.system.atomic import NO_ROOM
from captioner.system.extras import explain
from captioner.system.folders import current_directory
from captioner.system.home import settle
from captioner.system.printable import in_a_line

log = logging.getLogger(__name__)

COMMANDS = {
    "predict": "caption photos",
    "train": "train a model on captioned photos",
    "evaluate": "score a model on the dev or test split",
    "calibrate": "fit how sure a model's captions are, and which photos are familiar",
    "bulk": "caption any number of photos, also on a cluster",
    "serve": "start a web page and an HTTP API that caption photos",
    "export": "write a model for other programs",
    "upgrade": "convert a model directory of an older version",
    "models": "list the models that are here, with their scores and what they need",
    "download": "download the weights that the larger model needs",
    "cache": "list what is kept for the next time, or remove it",
}


def main(argv: Sequence[str] | None = None, program: str = "captioner") -> int:
    """Run the command line `argv` (default: that of the process) and return the exit status.

    `program` is how the user called it.

    0 all well; 1 something the user named could not be used, or nothing could be done; 2 wrong usage; 130 Ctrl-C; 143
    SIGTERM.
    """
    open_closed()
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv and argv[0] in COMMANDS:
        return run_command(argv[0], argv[1:], f"{program} {argv[0]}")
    parser = Parser(
        prog=program, description="Caption photos with a small recurrent network, and train it on your own photos."
    )
    parser.add_argument("--version", action="version", version=f"captioner {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, purpose in COMMANDS.items():
        commands.add_parser(name, help=f"{purpose} (see {program} {name} --help)")
    parser.parse_args(argv)
    return 0


def run_command(name: str, argv: Sequence[str], program: str) -> int:
    """Run one subcommand with its arguments; `program` is how the user called it."""
    open_closed()
    settle()
    with stoppable(), shown_messages():
        return _run(name, argv, program)


def _run(name: str, argv: Sequence[str], program: str) -> int:
    command: ModuleType | None = None
    try:
        command = import_module(f"captioner.cli.{name}")
        arguments = _parsed(command.make_parser(program), argv)
        if getattr(arguments, "quiet", False):
            silence()
        status = int(command.run(arguments))
        print(end="", flush=True)  # results that cannot be delivered fail here, not when Python exits
        return status
    except CaptionerError as error:
        complain(str(error))
        return error.exit_status
    except ImportError as error:
        if (reason := explain(error)) is None:
            raise
        complain(reason)
        return 1
    except KeyboardInterrupt as interrupt:
        _let_go(interrupt)
        complain(getattr(command, "INTERRUPTED", "stopped"))
        return 128 + (interrupt.number if isinstance(interrupt, Stopped) else signal.SIGINT)
    except MemoryError:
        complain("not enough memory; close other programs, or use a smaller --batch-size or --limit")
        return 1
    except OSError as error:
        _drop_stuck_output()
        if isinstance(error, BrokenPipeError):  # the reader of our output, such as `head`, has what it wanted
            return 1
        reason = error.strerror or str(error)
        if error.errno == errno.EBADF and stdout_is_closed():
            reason = "stdout is closed; send it to a file, or to /dev/null"
        if error.errno == errno.ENOENT and error.filename is None and current_directory() is None:
            reason = "the current directory was deleted; change to another one"
        if error.errno in NO_ROOM:
            reason = "; ".join(NO_ROOM[error.errno]) + " and run the same command again"
        name = error.filename2 or error.filename  # a stand-in that could not take the place of what the user named
        complain(f"{name}: {reason}" if name else reason)
        return 1


def _parsed(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    """Parse arguments; a help that cannot be delivered fails here, not when Python exits."""
    try:
        return parser.parse_args(argv)
    except SystemExit:
        print(end="", flush=True)
        raise


class Stopped(KeyboardInterrupt):
    """Ctrl-C or SIGTERM asks the command to end.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into `Stopped` for a block; a second one ends the process at once.

    What a process that ends at once leaves half written is put away by the next command in the same place.
    """
    asked = False

    def stop(number: int, frame: object) -> None:
        nonlocal asked
        if asked:
            os._exit(128 + number)
        asked = True
        raise Stopped(number)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    heard = [number for number, handler in before.items() if handler is not signal.SIG_IGN]  # jobs in the background
    if threading.current_thread() is not threading.main_thread():
        heard = []
    for number in heard:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])


def _let_go(interrupt: BaseException) -> None:
    """Silently release what the interrupted code held: a half-made progress bar would print an error."""
    hook, sys.unraisablehook = sys.unraisablehook, lambda unraisable: None
    try:
        traceback.clear_frames(interrupt.__traceback__)
        interrupt.__traceback__ = interrupt.__context__ = None  # iterators that were stopped midway hold things too
    finally:
        sys.unraisablehook = hook


def complain(message: str) -> None:
    """Print a message for the user on stderr, in one line, whatever the names in it hold."""
    print(f"captioner: {in_a_line(message)}", file=sys.stderr, flush=True)


def note(message: str) -> None:
    """Print a message for the user on stderr, unless notes are not wanted."""
    log.warning(message)


def _drop_stuck_output() -> None:
    """Redirect a closed stdout to the null device: Python flushes it again at exit, with a traceback."""
    try:
        print(end="", flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

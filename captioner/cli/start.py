"""Where every program starts: Ctrl-C ends it without a traceback while Python still imports."""

import sys


def start(program: str = "captioner", command: str | None = None) -> None:
    """Run the command line of this process, and end the process with its exit status.

    Args:
        program: how the user called it.
        command: the subcommand that `program` stands for; None where the user types it.
    """
    try:
        from captioner.cli.main import main, run_command
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(run_command(command, sys.argv[1:], program) if command else main(program=program))

"""`upgrade`: convert a model directory of an older version."""

import argparse
from pathlib import Path

from captioner.cli.main import complain
from captioner.cli.parser import Parser

INTERRUPTED = "stopped; the directory can be used as it is, and the same command resumes"

EXAMPLES = """\
examples:
  python -m captioner upgrade saved_models/mine
"""


def make_parser(program: str) -> argparse.ArgumentParser:
    """Describe the arguments."""
    parser = Parser(
        prog=program,
        description="Convert a model directory of an older version, which is read too, but more slowly: weights from "
        "HDF5 to NumPy's format, and the checksums of all files in one place. The numbers stay as they are.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="the model directory, which is changed in place")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Convert, and say whether there was anything to do."""
    from captioner.model_files.upgrade import upgrade

    done = upgrade(arguments.directory)
    complain(f"{arguments.directory}: {'converted' if done else 'is of the present version; nothing to do'}")
    return 0

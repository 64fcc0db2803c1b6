"""`cache`: list and remove what is kept so that it need not be made again."""

import argparse
import sys
import time
from collections.abc import Sequence

from captioner.cli.main import complain
from captioner.cli.parser import Parser
from captioner.errors import UsageError
from captioner.system.cache import KINDS, CacheEntry, cache_entries
from captioner.system.home import cache_directory

EVERYTHING = "all"

EXAMPLES = f"""\
kinds:
{chr(10).join(f"  {kind:<10}{about}" for kind, about in KINDS.items())}

All of it is made again when it is needed. A model directory holds none of it.

examples:
  python -m captioner cache
  python -m captioner cache --clear features
  python -m captioner cache --clear --yes
"""


def make_parser(program: str) -> argparse.ArgumentParser:
    """Describe the arguments."""
    parser = Parser(
        prog=program,
        description="List what the cache holds: kind, size, last use, and what it was made from; or clear it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--clear",
        metavar="KIND",
        nargs="?",
        const=EVERYTHING,
        choices=(*KINDS, EVERYTHING),
        help=f"remove what is there, of one kind or of all: {', '.join(KINDS)} (default without a value: all)",
    )
    parser.add_argument("--yes", action="store_true", help="with --clear: do not ask")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """List the entries, or ask and remove them."""
    if arguments.yes and not arguments.clear:
        raise UsageError("--yes answers what --clear asks; give both")
    entries = cache_entries(None if arguments.clear in (None, EVERYTHING) else arguments.clear)
    if not arguments.clear:
        _list(entries)
        return 0
    if not entries:
        complain(f"{cache_directory()}: nothing to remove")
        return 0
    if not arguments.yes and not _agreed(entries):
        complain("nothing was removed")
        return 1
    return _remove(entries)


def _list(entries: Sequence[CacheEntry]) -> None:
    for each in sorted(entries, key=lambda entry: -entry.size):
        day = time.strftime("%Y-%m-%d", time.localtime(each.used))
        print(f"{each.kind:<9} {_megabytes(each.size)}  {day}  {each.about}")
    print(f"{'total':<9} {_megabytes(_total(entries))}  in {cache_directory()}", flush=True)


def _agreed(entries: Sequence[CacheEntry]) -> bool:
    """Ask whether to continue; where nobody can be asked, an option has to say so beforehand.

    Raises:
        UsageError: standard input is no terminal.
    """
    if not sys.stdin.isatty():
        raise UsageError("--clear asks before it removes anything, and nobody can be asked here; add --yes")
    print(
        f"Remove {len(entries)} entries, {_megabytes(_total(entries)).strip()}, from {cache_directory()}? [y/N] ",
        end="",
        flush=True,
    )
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _remove(entries: Sequence[CacheEntry]) -> int:
    gone, in_use, failed = [], 0, 0
    for each in entries:
        try:
            if each.remove():
                gone.append(each)
            else:
                in_use += 1
        except OSError as error:
            failed += 1
            complain(f"{error.filename or each.files[0]}: {error.strerror}")
    complain(f"removed {len(gone)} entries, {_megabytes(_total(gone)).strip()}")
    if in_use:
        complain(f"kept {in_use} entries that a running training fills")
    return 1 if failed else 0


def _total(entries: Sequence[CacheEntry]) -> int:
    return sum(each.size for each in entries)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:10,.1f} MB"

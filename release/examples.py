"""Run the Python of documents again, and write what it prints below it: `python -m release.examples PAGE ...`.

The blocks of a page are one session. What a block prints stands in the next block, if that is a text. Where a page in
another language has the same blocks, name it too: each page is run by itself.
"""

import argparse
import contextlib
import io
import re
import sys
from pathlib import Path

from captioner.errors import CaptionerError
from captioner.system.files import write_text

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def main() -> None:
    """Run the pages that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m release.examples", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pages", type=Path, nargs="+", metavar="PAGE")
    for path in parser.parse_args().pages:
        try:
            before = path.read_text(encoding="utf-8")
            after = rerun(before, str(path))
            if after != before:
                write_text(path, after)
        except (CaptionerError, OSError) as error:
            sys.exit(f"error: {path}: {error}")


def rerun(text: str, name: str) -> str:
    """Return the text of a page with what its blocks print now.

    Raises:
        CaptionerError: a block ends with an error.
    """
    session: dict[str, object] = {}
    blocks = list(FENCE.finditer(text))
    printed: list[tuple[tuple[int, int], str]] = []
    for block, below in zip(blocks, [*blocks[1:], None], strict=True):
        if block[1] != "python":
            continue
        output = io.StringIO()
        line = text.count("\n", 0, block.start()) + 1
        try:
            with contextlib.redirect_stdout(output):
                exec(compile(block[2], f"{name}, line {line}", "exec"), session)
        except Exception as error:
            raise CaptionerError(f"the block in line {line} ends with {type(error).__name__}: {error}") from error
        if below is not None and below[1] == "text" and output.getvalue():
            printed.append((below.span(2), output.getvalue()))
    for (start, end), new in reversed(printed):
        text = text[:start] + new + text[end:]
    return text


if __name__ == "__main__":
    main()

"""Measure confidence and familiarity anew, and write `benchmarks/confidence.md`: `python -m release.confidence_page`.

Runs `python -m benchmarks.confidence`, keeps the page's heading, and puts what is printed below it. `facts` reads the
same page, so that other documents can be held against it.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from captioner.errors import CaptionerError
from captioner.system.files import write_text

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "benchmarks" / "confidence.md"
FACTS = {
    "error": r"random halves: ([\d.]+), from",
    "worst_error": r"random halves: [\d.]+, from [\d.]+ to ([\d.]+)",
    "auroc": r"AUROC of .* against \d+: ([\d.]+)",
    "auroc_photographs": r"photographs: ([\d.]+);",
    "auroc_pictures": r"pictures: ([\d.]+);",
    "photographs": r"(\d+) photographs:",
    "unfamiliar_photographs": r"photographs: .*unfamiliar (\d+), ",
    "marked_photographs": r"photographs: .*guess (\d+)",
    "pictures": r"(\d+) pictures:",
    "marked_pictures": r"pictures: .*guess (\d+)",
    "alarms": r"by the threshold of the other: ([\d.]+)%",
    "surest_alarms": r"of the surest half of dev: unfamiliar ([\d.]+)%",
    "milliseconds": r"cost: ([\d.]+) ms",
    "megabytes": r"per photo, ([\d.]+) MB",
}
"""Numbers in the section of a model."""

TIME = re.compile(r"(?<=cost: )[\d.]+(?= ms)")


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m release.confidence_page",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--wheels", help="as for benchmarks.confidence")
    wheels = parser.parse_args().wheels
    command = [sys.executable, "-m", "benchmarks.confidence", *(["--wheels", wheels] if wheels else [])]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    write_text(PAGE, renewed(PAGE.read_text(encoding="utf-8"), done.stdout))


def renewed(page: str, printed: str) -> str:
    """Return the page with what was printed below its heading; models are sections of it.

    The same page is returned where nothing but the time that a photo takes has changed.
    """
    heading = page.partition("\n## ")[0]
    made = f"{heading}\n{re.sub('^### ', '## ', printed, flags=re.MULTILINE).strip()}\n"
    return page if TIME.sub("", made) == TIME.sub("", page) else made


def facts(page: str) -> dict[str, dict[str, Any]]:
    """Return the numbers of the page by model, and the rows of its photographs as `rows`.

    Raises:
        CaptionerError: a section lacks one of them.
    """
    found: dict[str, dict[str, Any]] = {}
    for section in page.split("\n## ")[1:]:
        name = section.partition("\n")[0]
        found[name] = {}
        for key, pattern in FACTS.items():
            match = re.search(pattern, section)
            if match is None:
                raise CaptionerError(f"{PAGE}: the section {name} has no {key}; expected what {__name__} writes")
            found[name][key] = float(match[1]) if "." in match[1] else int(match[1])
        table = section.partition("| picture |")[2].splitlines()[2:]
        found[name]["rows"] = "".join(f"{row}\n" for row in table if row.startswith("| ") and "| *" not in row)
    return found


if __name__ == "__main__":
    main()

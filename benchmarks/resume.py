"""What it takes to find that all photos of a large folder are captioned already.

    python benchmarks/resume.py [--photos 100000] [--rounds 3] [--only text csv json bulk]

The photos are links to tiny files in 100 folders, and the captions are made up. Each row is a whole process,
`predict.py photos/ --output captions.csv` or `python -m captioner bulk photos/ --output captions/`.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "saved_models" / "compact"
sys.path[:0] = [str(ROOT)]

import numpy as np

from captioner.cli.formats import HEADING, STYLES, csv_row, make_writer
from captioner.runtime.caption import Candidate, Caption

FOLDERS = 100
FOUND = Candidate(("a", "dog", "runs", "through", "the", "grass"), -0.9, np.zeros((6, 64)))
CAPTION = Caption(FOUND.words, FOUND.score, FOUND.attention, (FOUND,))
WAYS = (*STYLES, "bulk")
# In a small process of its own, since a child's greatest memory counts from before it is another program.
MEASURE = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(code)
"""


def make_photos(folder: Path, count: int) -> list[Path]:
    """Make `count` files that are called photos."""
    paths = [folder / f"{number % FOLDERS:02}" / f"IMG_{number:06}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        if number < FOLDERS:
            path.parent.mkdir(parents=True)
            path.write_bytes(b"\xff\xd8\xff")
        else:
            os.link(paths[number % FOLDERS], path)
    return paths


def make_table(path: Path, style: str, photos: list[Path]) -> None:
    """Write what `predict` would have written of all photos."""
    write = make_writer(style, 1, False)
    heading = csv_row(HEADING) if style == "csv" else ""
    path.write_text(heading + "".join(write(photo, CAPTION) for photo in photos))


def make_parts(output: str, model: Path) -> None:
    """Write what `bulk` would have written of all photos."""
    from captioner.bulk.done_names import DoneNames
    from captioner.bulk.inputs import Inputs
    from captioner.bulk.model import describe
    from captioner.bulk.output import Output, Row
    from captioner.bulk.plan import cut
    from captioner.bulk.storage import Storage
    from captioner.cli import bulk

    arguments = bulk.make_parser("bulk").parse_args(["photos", "--output", output])
    parts = Output(output, Storage(), "parquet")
    parts.begin({**bulk._settings(arguments, "parquet"), **describe(model)}, overwrite=False)
    for block in cut(Inputs(["photos"], Storage(), "", output, print), DoneNames(), lambda block: False):
        parts.write(block, [Row(name, CAPTION) for name in block.names])


def measure(command: list[str]) -> tuple[float, float]:
    """Return seconds of a core and MB of a command."""
    found = subprocess.run(
        [sys.executable, "-c", MEASURE, sys.executable, *command],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    if found.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    processor, kilobytes = map(float, found.stdout.split())
    return processor, kilobytes / 1000


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=WAYS, default=WAYS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        folder = Path("photos")
        photos = sorted(make_photos(folder, arguments.photos))
        print(f"| {arguments.photos:,} photos | seconds of a core, median | peak memory, MB |\n|---|---|---|")
        for way in arguments.only:
            output = Path(f"captions.{way}")
            if way == "bulk":
                make_parts(output.name, MODEL)
                command = ["-m", "captioner", "bulk", "photos", "--output", output.name, "--model", str(MODEL)]
            else:
                make_table(output, way, photos)
                command = [str(ROOT / "predict.py"), "photos", "--output", output.name, "--format", way]
            used = [measure(command) for _ in range(arguments.rounds)]
            processor, memory = map(statistics.median, zip(*used, strict=True))
            name = "bulk" if way == "bulk" else f"predict.py --format {way}"
            print(f"| `{name}` | {processor:.2f} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()

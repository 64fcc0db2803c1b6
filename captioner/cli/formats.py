"""How captions look in the text, JSON and CSV that `predict` writes, and which photos such a text tells of."""

import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from captioner.files import written
from captioner.printable import name_in_a_line, to_json
from captioner.runtime.caption import Candidate

STYLES = ("text", "json", "csv")
HEADING = ("image", "caption", "score")


def make_writer(
    style: str, num_captions: int, single: bool, terminal: bool = False
) -> Callable[[Path, Sequence[Candidate]], str]:
    """Return what turns a photo and its candidates, best first, into lines.

    Args:
        style: one of `STYLES`.
        num_captions: the most lines a photo, in text.
        single: whether there is one photo alone, so that a text need not name it.
        terminal: whether people read the lines, and no program: then a name in CSV is escaped, which a program could
            not take back.
    """

    def write_json(photo: Path, candidates: Sequence[Candidate]) -> str:
        found = [{"caption": each.text, "score": each.score} for each in candidates]
        return to_json({"image": str(photo), **found[0], "candidates": found}) + "\n"

    def write_csv(photo: Path, candidates: Sequence[Candidate]) -> str:
        name = name_in_a_line(str(photo)) if terminal else name_in("csv", str(photo))
        return csv_row([name, candidates[0].text, f"{candidates[0].score:.4f}"])

    def write_text(photo: Path, candidates: Sequence[Candidate]) -> str:
        name = "" if single else f"{name_in('text', str(photo))}\t"
        return "".join(f"{name}{each.text}\n" for each in candidates[:num_captions])

    return {"json": write_json, "csv": write_csv, "text": write_text}[style]


def name_in(style: str, name: str) -> str:
    """Return a photo's name as `images_in` gives it back from a text of this style: no two names become one."""
    if style == "json":
        return name
    return written(name) if style == "csv" else name_in_a_line(name)


def csv_row(values: Sequence[str]) -> str:
    """Return one row with its line end."""
    text = io.StringIO()
    forgotten = any("\r" in value for value in values)  # by Python 3.11, of all that is to be quoted
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL if forgotten else csv.QUOTE_MINIMAL).writerow(values)
    return text.getvalue()


def images_in(style: str, text: str) -> set[str]:
    """Name the photos that a text of whole lines tells of.

    Raises:
        ValueError: the text is of another style.
    """
    names: set[str] = set()
    if style == "csv":
        for number, row in enumerate(csv.reader(io.StringIO(text, newline=""), strict=True)):
            if len(row) != len(HEADING) or (number == 0 and tuple(row) != HEADING):
                raise ValueError(f"expected the columns {', '.join(HEADING)}")
            if number:
                names.add(row[0])
        return names
    for line in re.finditer(r"[^\n]*\n", text):  # one at a time: there may be a million
        if style == "json":
            try:
                names.add("" + json.loads(line[0])["image"])
            except (LookupError, TypeError, AttributeError) as error:
                raise ValueError("expected JSON objects with an image") from error
        else:
            name, tab, _ = line[0].partition("\t")
            if not tab:
                raise ValueError("expected lines of PATH<TAB>CAPTION")
            names.add(name)
    return names

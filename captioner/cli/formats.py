"""How captions look in the text, JSON and CSV that `predict` writes, and which photos such a text names."""

import csv
import io
import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from captioner.runtime.caption import Caption
from captioner.system.file_names import written
from captioner.system.printable import name_in_a_line, to_json

STYLES = ("text", "json", "csv")
HEADING = ("image", "caption", "score", "confidence", "familiar")

GREY, PLAIN = "\x1b[90m", "\x1b[0m"


def make_writer(style: str, num_captions: int, single: bool, terminal: bool = False) -> Callable[[Path, Caption], str]:
    """Return what turns a photo and its captions, best first, into lines.

    Args:
        style: one of `STYLES`.
        num_captions: the most lines a photo, in text.
        single: whether there is one photo alone, so that a text need not name it.
        terminal: whether people read the lines, and no program: then a text says which captions are guesses, and a name
            in CSV is escaped, which a program could not take back.
    """
    grey, plain = (GREY, PLAIN) if terminal and has_colours() else ("", "")

    def write_json(photo: Path, caption: Caption) -> str:
        found = [
            {"caption": each.text, "score": each.score, "confidence": each.confidence} for each in caption.candidates
        ]
        return to_json({"image": str(photo), **found[0], "familiar": caption.familiar, "candidates": found}) + "\n"

    def write_csv(photo: Path, caption: Caption) -> str:
        name = name_in_a_line(str(photo)) if terminal else name_in("csv", str(photo))
        confidence = "" if caption.confidence is None else f"{caption.confidence:.2f}"
        familiar = "" if caption.familiar is None else str(caption.familiar).lower()
        return csv_row([name, caption.text, f"{caption.score:.4f}", confidence, familiar])

    def write_text(photo: Path, caption: Caption) -> str:
        name = "" if single else f"{name_in('text', str(photo))}\t"
        lines = []
        for each in caption.candidates[:num_captions]:
            remark = caption.remark_on(each) if terminal else ""
            lines.append(f"{name}{each.text}{f' {grey}({remark}){plain}' if remark else ''}\n")
        return "".join(lines)

    return {"json": write_json, "csv": write_csv, "text": write_text}[style]


def has_colours() -> bool:
    """Return whether to write to a terminal in colours (https://no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def name_in(style: str, name: str) -> str:
    """Return a photo's name as `images_in` gives it back from a text of this style: no two names become one."""
    if style == "json":
        return name
    return written(name) if style == "csv" else name_in_a_line(name)


def csv_row(values: Sequence[str]) -> str:
    """Return one row with its line end."""
    text = io.StringIO()
    forgotten = any("\r" in value for value in values)  # Python 3.11 does not quote these
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL if forgotten else csv.QUOTE_MINIMAL).writerow(values)
    return text.getvalue()


def is_whole_row(style: str, text: str) -> bool:
    """Return whether a text without a line end is a whole row of JSON or CSV, as it ends in no beginning of one."""
    try:
        if style == "csv":
            rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
            return len(rows) == 1 and len(rows[0]) == len(HEADING) and rows[0][-1] in ("true", "false")
        return bool(images_in(style, text + "\n"))
    except (ValueError, csv.Error):
        return False


def images_in(style: str, text: str) -> set[str]:
    """Return the photos that a text of whole lines names.

    Raises:
        ValueError: the text is of another style.
    """
    names: set[str] = set()
    if style == "csv":
        text = text.removeprefix("\ufeff")  # which spreadsheets write
        for number, row in enumerate(csv.reader(io.StringIO(text, newline=""), strict=True)):
            if len(row) != len(HEADING) or (number == 0 and tuple(row) != HEADING):
                raise ValueError(f"expected the columns {', '.join(HEADING)}, with commas between them")
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

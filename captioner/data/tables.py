"""Read a table of captions, CSV or TSV, as people write them by hand.

`formats` takes the columns from here. Commas and quotes in captions are what goes wrong in such files.
"""

import csv
from io import StringIO
from pathlib import Path
from typing import Any

from captioner.data.holes import Hole, Holes, printable
from captioner.data.text_files import read_text, unix
from captioner.errors import CaptionerError


def read_table(path: Path, holes: Holes) -> dict[str, list[str]]:
    """The columns by lower-case name: image, caption, and whatever else there is; a missing field is "".

    Raises:
        CaptionerError: the file cannot be read, is no table, or has no column image or caption.
    """
    import pandas

    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    text = unix(read_text(path, holes)).lstrip("\n")  # CRLF is right in a CSV file
    first_line, _, body = text.partition("\n")
    # A file of another kind may be one endless line.
    header = [name.strip().lower() for name in next(csv.reader([first_line[:10_000]], delimiter=separator), [])]
    if not {"image", "caption"} <= set(header):
        raise CaptionerError(
            f"the columns of {path} are {', '.join(map(printable, header))}; wanted are image, caption and, if the "
            "photos are split, split. Rename them in the first line"
        )

    def parse(on_bad_lines: str) -> Any:
        return pandas.read_csv(
            StringIO(text), sep=separator, header=None, dtype=str, na_filter=False, on_bad_lines=on_bad_lines
        )

    try:
        rows = parse("error").to_numpy().tolist()[1:]
    except pandas.errors.ParserError:
        quoted = True
        try:
            parse("skip")
        except pandas.errors.ParserError:  # all that it cannot skip is a quote without an end
            holes.add(Hole.OPEN_QUOTE, path.name)
            quoted = False
        try:
            rows = _mended_rows(body, separator, quoted, header, holes)
        except csv.Error as error:
            raise CaptionerError(f"{path} is not a readable table ({error}); save it again as CSV") from error
    return {name: [row[i] if i < len(row) else "" for row in rows] for i, name in enumerate(header)}


def _mended_rows(body: str, separator: str, quoted: bool, header: list[str], holes: Holes) -> list[list[str]]:
    """The rows below the header, with the fields that a loose separator cut put together again.

    They are of the caption when that is the last column; else nobody knows whose they are, and the row is left out.
    """
    last = len(header) - 1
    rows = []
    reader = csv.reader(StringIO(body), delimiter=separator, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
    for fields in reader:
        if len(fields) > len(header):
            holes.add(Hole.LOOSE_COMMA, fields[header.index("image")])
            if header[last] != "caption":
                continue
            fields[last:] = [separator.join(fields[last:])]
        if len(fields) > 1 or "".join(fields).strip():  # else the line is blank
            rows.append(fields if quoted else [field.strip().strip('"') for field in fields])
    return rows

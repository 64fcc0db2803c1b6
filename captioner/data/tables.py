"""Read a table of captions as people and programs write them: CSV with any usual separator, TSV, JSON lines.

`formats` takes the rows from here. Commas and quotes in captions are what goes wrong in such files.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

from captioner.data.data_issues import DataIssue, DataIssues, printable
from captioner.data.text_files import as_text, read_records, read_text, unix
from captioner.errors import CaptionerError

# What the columns are called, the likeliest first.
IMAGE = (
    *("image", "file_name", "filename", "image_path", "image_name", "image_file", "image_filename", "img", "img_path"),
    *("img_name", "file", "file_path", "filepath", "path", "photo", "picture", "image_id"),
)
CAPTION = ("caption", "captions", "text", "sentence", "sentences", "comment", "description", "image_caption", "raw")
SPLIT = ("split", "subset", "partition", "set")

SEPARATORS = (",", ";", "|", "\t")
WANTED = (
    "wanted are image, caption and, if the photos are split, split, or names such as file_name, image_path, text, "
    "sentence"
)


class Row(NamedTuple):
    """A row of a table: a photo's name, a caption, the word for its split or "", and what else stands there."""

    image: str
    caption: str
    split: str
    others: tuple[str, ...]


def read_table(path: Path, issues: DataIssues) -> list[Row]:
    """Return the rows of a CSV or TSV file; a missing field is "".

    The separator is the one that gives the columns wanted, or that which a first line `sep=;` of Excel names.

    Raises:
        CaptionerError: the file cannot be read, is no table, or has no column of images or of captions.
    """
    import pandas

    text = unix(read_text(path, issues)).lstrip("\n")  # CRLF is right in a CSV file
    first_line, _, body = text.partition("\n")
    named = re.fullmatch(r'[ "]*sep=([,;|\t:^~])[ "]*', first_line, re.IGNORECASE)
    if named:
        text = body.lstrip("\n")
        first_line, _, body = text.partition("\n")
    separators = (named[1],) if named else ("\t", *SEPARATORS) if path.suffix.lower() == ".tsv" else SEPARATORS
    separator, names = _header(first_line, separators)
    columns = chosen_columns(names)
    if not {"image", "caption"} <= set(columns):
        raise CaptionerError(
            f"the columns of {path} are {', '.join(map(printable, names))}; {WANTED}, between commas, semicolons, tabs "
            "or |. Rename them in the first line"
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
            issues.add(DataIssue.OPEN_QUOTE, path.name)
            quoted = False
        try:
            rows = _mended_rows(body, separator, quoted, len(names), columns, issues)
        except csv.Error as error:
            raise CaptionerError(f"{path} is not a readable table ({error}); save it again as CSV") from error
    if separator == "|":  # which people set off by spaces
        rows = [[field.strip() for field in row] for row in rows]
    return [_row(row, columns) for row in rows]


def read_json_rows(path: Path, issues: DataIssues) -> list[Row]:
    """Return the rows of a file of JSON lines, or of a JSON list of objects; several captions give several rows.

    Raises:
        CaptionerError: the file cannot be read, or holds something else.
    """
    rows = []
    seen: list[str] = []
    for where, entry in read_records(path, issues):
        try:
            names = list(entry)
            columns = chosen_columns(names)
            image, captions = (entry[names[columns[name]]] for name in ("image", "caption"))
            split = as_text(entry[names[columns["split"]]] or "") if "split" in columns else ""
            image = str(image) if isinstance(image, int) else as_text(image)
            captions = [as_text(each) for each in (captions if isinstance(captions, list) else [captions])]
        except (AttributeError, IndexError, KeyError, TypeError, UnicodeEncodeError):
            issues.add(DataIssue.BROKEN, f"{path.name} {where}")
            if isinstance(entry, dict):
                seen = seen or [name for name in entry if isinstance(name, str)]
            continue
        others = tuple(repr(entry[name]) for name in names)
        rows += [Row(image, caption, split, (*others, str(which))) for which, caption in enumerate(captions)]
    if not rows:
        raise CaptionerError(
            f"no entry of {path} has a photo and a caption; the names of the first are "
            f"{', '.join(map(printable, seen[:20])) or 'none'}; {WANTED}. Rename them"
        )
    return rows


def is_record(value: Any) -> bool:
    """Return whether a JSON value is an object with a photo and a caption."""
    return isinstance(value, dict) and {"image", "caption"} <= set(chosen_columns(list(value)))


def chosen_columns(names: Sequence[str]) -> dict[str, int]:
    """Return the numbers of the columns for "image", "caption" and "split", as far as these are there."""
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        places.setdefault(re.sub(r"[\s-]+", "_", name.strip().lower()), place)
    chosen: dict[str, int] = {}
    for key, usual in (("image", IMAGE), ("caption", CAPTION), ("split", SPLIT)):
        called = next((name for name in usual if name in places), None)
        if called is not None:
            chosen[key] = places[called]
    return chosen


def _header(line: str, separators: Iterable[str]) -> tuple[str, list[str]]:
    """Return the separator that gives columns of images and captions, else the most columns, and their names."""
    found = []
    for separator in separators:
        # A file of another kind may be one endless line.
        names = next(csv.reader([line[:10_000]], delimiter=separator), [])
        found.append((separator, [name.strip().lower() for name in names]))
    return max(found, key=lambda each: ({"image", "caption"} <= set(chosen_columns(each[1])), len(each[1])))


def _row(fields: Sequence[str], columns: dict[str, int]) -> Row:
    def field(name: str) -> str:
        place = columns.get(name, len(fields))
        return fields[place] if place < len(fields) else ""

    return Row(field("image"), field("caption"), field("split"), tuple(fields))


def _mended_rows(
    body: str, separator: str, quoted: bool, width: int, columns: dict[str, int], issues: DataIssues
) -> list[list[str]]:
    """Return the rows below the header, with the fields that a loose separator cut put together again.

    They are of the caption when that is the last column; else nobody knows whose they are, and the row is left out.
    """
    last = width - 1
    rows = []
    reader = csv.reader(StringIO(body), delimiter=separator, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
    for fields in reader:
        if len(fields) > width:
            issues.add(DataIssue.LOOSE_COMMA, fields[columns["image"]])
            if columns["caption"] != last:
                continue
            fields[last:] = [separator.join(fields[last:])]
        if len(fields) > 1 or "".join(fields).strip():  # else the line is blank
            rows.append(fields if quoted else [field.strip().strip('"') for field in fields])
    return rows

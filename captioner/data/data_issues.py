"""The faults in the files of a data set.

Every part of reading (`folder`, `text_files`, `tables`, `formats`, `splits`) adds to one `DataIssues`, whose phrases
become `CaptionDataset.issues`.
"""

from collections import defaultdict
from enum import Enum


class DataIssue(Enum):
    """A kind of fault that does not stop the reading: its name for one, and for several."""

    WITHOUT_PHOTO = ("caption entry without a photo", "caption entries without a photo")
    LISTED_WITHOUT_PHOTO = ("photo of a split missing", "photos of a split missing")
    LISTED_WITHOUT_CAPTION = ("photo of a split without captions", "photos of a split without captions")
    LISTED_TWICE = ("photo listed twice in a split", "photos listed twice in a split")
    TWO_SPLITS = ("photo in two splits", "photos in two splits")
    NO_SPLIT = ("entry with an unknown split", "entries with an unknown split")
    EMPTY_SPLIT = ("split without photos", "splits without photos")
    OUTSIDE = ("name that leads out of the folder", "names that lead out of the folder")
    BLANK = ("empty caption", "empty captions")
    REPEATED = ("repeated caption line", "repeated caption lines")
    SEVERAL_LINES = ("caption over several lines", "captions over several lines")
    BROKEN = ("broken entry", "broken entries")
    NO_TAB = ("line without a tab", "lines without a tab")
    LOOSE_COMMA = ("row with an unquoted separator", "rows with an unquoted separator")
    OPEN_QUOTE = ("file with a quote that is never closed", "files with a quote that is never closed")
    CRLF = ("file with CRLF line ends", "files with CRLF line ends")
    BOM = ("file with a byte order mark", "files with a byte order mark")
    LOST = ("caption with a character lost in a conversion", "captions with a character lost in a conversion")
    SEVERAL = ("name that stands for several photos", "names that stand for several photos")
    UNREADABLE = ("folder that cannot be listed", "folders that cannot be listed")
    DEV_FROM_TRAIN = (
        "photo taken from train for dev, which had none",
        "photos taken from train for dev, which had none",
    )


class DataIssues:
    """A collection of issues, with their number and two examples of every kind."""

    def __init__(self) -> None:
        self._examples: dict[DataIssue, list[str]] = defaultdict(list)

    def add(self, kind: DataIssue, example: str) -> None:
        """Count one more issue of `kind`; `example` says where or what."""
        self._examples[kind].append(example)

    def phrases(self) -> tuple[str, ...]:
        """Return a phrase for every kind, in the order of the first of each: "3 empty captions (a.jpg, b.jpg, ...)"."""
        phrases = []
        for kind, examples in self._examples.items():
            one, several = kind.value
            shown = [printable(example) for example in examples[:2]] + ["..."] * (len(examples) > 2)
            phrases.append(f"{len(examples)} {one if len(examples) == 1 else several} ({', '.join(shown)})")
        return tuple(phrases)


def printable(name: str) -> str:
    """Return a name from a file as a terminal may show it: no control characters, not endless."""
    return (name if name.isprintable() else ascii(name))[:80]

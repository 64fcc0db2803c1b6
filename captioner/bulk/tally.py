"""The counts of captioned and failed photos."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

LEFT_OUT = "left out: "
"""How the note of a photo begins whose caption was not sure enough; what is odd about its file follows behind "; "."""


@dataclass
class Tally:
    """The number of photos, and the faults of those that could not be used.

    Attributes:
        photos: all of them.
        errors: how many by kind.
        notes: how many were odd and used nevertheless, and how many captions were left out, by kind.
    """

    photos: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)

    @property
    def good(self) -> int:
        """The number of photos without a fault, and whose caption was not left out."""
        return self.photos - self.errors.total() - self.left_out.total()

    @property
    def left_out(self) -> Counter[str]:
        """The notes that say why a caption was left out."""
        return Counter({kind: count for kind, count in self.notes.items() if kind.startswith(LEFT_OUT)})

    @classmethod
    def of(cls, errors: Iterable[str | None], notes: Iterable[str | None] = ()) -> "Tally":
        """Count photos by the fault and the note of each, or None."""
        found = list(errors)
        return cls(
            len(found),
            Counter(kind_of(error) for error in found if error),
            Counter(kind_of(each) for note in notes if note for each in _parts(note)),
        )

    def add(self, other: "Tally") -> None:
        """Add the counts of another tally."""
        self.photos += other.photos
        self.errors += other.errors
        self.notes += other.notes


def _parts(note: str) -> Iterator[str]:
    """Separate why a caption was left out from the note about the file."""
    if note.startswith(LEFT_OUT):
        left_out, _, note = note.partition("; ")
        yield left_out
    if note:
        yield note


def kind_of(error: str) -> str:
    """Return what an error has in common with others of its kind: no details in brackets, no advice."""
    return re.sub(r" ?\(.*\)|;.*", "", error, flags=re.DOTALL).strip() or error

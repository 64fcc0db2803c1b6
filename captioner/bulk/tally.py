"""Counting what came of the photos."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Tally:
    """How many photos there were, and what was wrong with those that could not be used.

    Attributes:
        photos: all of them.
        errors: how many by kind.
        notes: how many were odd and used all the same, by kind.
    """

    photos: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)

    @property
    def good(self) -> int:
        """How many photos nothing was wrong with."""
        return self.photos - self.errors.total()

    @classmethod
    def of(cls, errors: Iterable[str | None], notes: Iterable[str | None] = ()) -> "Tally":
        """Count photos by what was wrong with each, and by what was odd about it, or None."""
        found = list(errors)
        return cls(
            len(found),
            Counter(kind_of(error) for error in found if error),
            Counter(kind_of(note) for note in notes if note),
        )

    def add(self, other: "Tally") -> None:
        """Count in what another has counted."""
        self.photos += other.photos
        self.errors += other.errors
        self.notes += other.notes


def kind_of(error: str) -> str:
    """Return what an error has in common with others of its kind: no details in brackets, no advice."""
    return re.sub(r" ?\(.*\)|;.*", "", error, flags=re.DOTALL).strip() or error

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
    """

    photos: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def good(self) -> int:
        """How many photos nothing was wrong with."""
        return self.photos - self.errors.total()

    @classmethod
    def of(cls, errors: Iterable[str | None]) -> "Tally":
        """Count photos by what was wrong with each, or None."""
        counted = Counter(error and kind_of(error) for error in errors)
        photos = counted.total()
        counted.pop(None, None)
        return cls(photos, Counter({str(kind): count for kind, count in counted.items()}))

    def add(self, other: "Tally") -> None:
        """Count in what another has counted."""
        self.photos += other.photos
        self.errors += other.errors


def kind_of(error: str) -> str:
    """Return what an error has in common with others of its kind: no details in brackets, no advice."""
    return re.sub(r" ?\(.*\)|;.*", "", error, flags=re.DOTALL).strip() or error

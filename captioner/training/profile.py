"""Profile the time of a training by phase and epoch."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TypeVar

from captioner.system.files import write_text

T = TypeVar("T")


class Profile:
    """A stopwatch for the phases of each epoch; phases do not overlap.

    Attributes:
        epochs: for each epoch, seconds by phase, `other` being what no phase measured.
    """

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []

    @contextmanager
    def epoch(self) -> Iterator[None]:
        """Measure one epoch."""
        self.epochs.append({})
        began = time.perf_counter()
        yield
        seconds = self.epochs[-1]
        seconds["other"] = time.perf_counter() - began - sum(seconds.values())

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time of the block to the phase `name` of this epoch; outside an epoch nothing is measured."""
        began = time.perf_counter()
        yield
        if self.epochs:
            self.epochs[-1][name] = self.epochs[-1].get(name, 0.0) + time.perf_counter() - began

    def waiting(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """Yield the items; the time that they keep the caller waiting is that of the phase `name`."""
        iterator = iter(items)
        while True:
            with self.phase(name):
                item = next(iterator, self)
            if item is self:
                return
            yield item  # type: ignore[misc]

    def save(self, path: Path) -> None:
        """Write the table to a Markdown file; where no epoch was run, what is there stays.

        Raises:
            OSError: it cannot be written.
        """
        if self.epochs:
            write_text(path, f"# Where the time of an epoch goes\n\n{self.table()}")

    def table(self) -> str:
        """Return a Markdown table: seconds of the first epoch, which compiles, and the median of the others."""
        if not self.epochs:
            return "no epoch was run\n"
        first, later = self.epochs[0], self.epochs[1:] or self.epochs
        phases = {name: median(epoch.get(name, 0.0) for epoch in later) for epoch in self.epochs for name in epoch}
        total = sum(phases.values())
        rows = [
            f"| {name} | {first.get(name, 0.0):.2f} | {seconds:.2f} | {seconds / total:.1%} |"
            for name, seconds in sorted(phases.items(), key=lambda item: -item[1])
        ]
        head = f"| phase | first epoch, s | median of {len(later)} others, s | share |"
        if len(self.epochs) == 1:
            head = "| phase | the epoch, s | the same, s | share |"
        return "\n".join([head, "|---|---|---|---|", *rows, f"| all | {sum(first.values()):.2f} | {total:.2f} | |", ""])

"""Detect another run that writes to the same folder of an object store, which has no locks."""

import time
from typing import Any

from captioner.bulk.done_names import DoneNames
from captioner.bulk.output import Output
from captioner.errors import CaptionerError

PAUSE = 60.0
"""Seconds between two looks at the folder."""

SHARE = 0.05
"""Of the time, that looking may take: a store lists about 10,000 names per second."""


class KnownParts:
    """The parts that a folder may hold while a run writes to it: those already there, and those of its plan.

    Args:
        output: the folder.
        settings: how its parts are made.
    """

    def __init__(self, output: Output, settings: dict[str, Any]) -> None:
        self._output, self._settings = output, settings
        self._known = DoneNames()
        self._next = time.monotonic() + PAUSE

    def add(self, digest: str) -> None:
        """Add the part of the block with this digest."""
        self._known.add([digest], as_written=str)

    def check_at_times(self) -> None:
        """Call `check`, unless the last call is recent."""
        began = time.monotonic()
        if began >= self._next:
            self.check()
            took = time.monotonic() - began
            self._next = began + max(PAUSE, took / SHARE)

    def check(self, complete: bool = False) -> None:
        """Refuse to continue if another run has written to the folder, or removed something.

        Args:
            complete: whether all parts must be there.

        Raises:
            CaptionerError: it holds a part that is not known, or lacks one.
            UsageError: its settings were replaced, see `Output.check`.
        """
        parts = self._output.parts()
        if foreign := self._known.add(list(parts), as_written=str):
            raise CaptionerError(
                f"{parts[foreign[0]]}: another run has written this to the same folder; let one run at a time write "
                "there. The captions of both are kept: run each command again when no other runs"
            )
        if complete and len(parts) < len(self._known):
            raise CaptionerError(
                f"{self._output.place}: {len(self._known) - len(parts):,} parts have gone since they were written; let "
                "one run at a time write there, and run the same command again"
            )
        self._output.check(self._settings, overwrite=False, parts=parts)

"""A set of the names seen so far, in sixteen bytes each."""

from collections.abc import Callable, Sequence
from hashlib import blake2b

import numpy as np

from captioner.system.file_names import written

_DIGEST = 16
"""Bytes of a name that are kept: among a thousand million names the chance that two are alike is 1 to 10**20."""


class DoneNames:
    """A set of names; a hundred million take 1.6 GB.

    The digests lie in sorted arrays; one that has grown as large as the one before it is joined with it, so there are
    few arrays, and each digest is moved but a few times.
    """

    def __init__(self) -> None:
        self._arrays: list[np.ndarray] = []

    def __len__(self) -> int:
        """Count the names."""
        return sum(map(len, self._arrays))

    def add(self, names: Sequence[str], as_written: Callable[[str], str] = written) -> list[str]:
        """Add names, and return those that are new, each once and in order.

        Args:
            names: the names.
            as_written: how each stands in the parts; `str` for names that come from there.
        """
        first: dict[bytes, str] = {}
        for name in names:
            first.setdefault(_digest(as_written(name)), name)
        digests = np.array(list(first), dtype=f"S{_DIGEST}")
        new = np.ones(len(digests), bool)
        for array in self._arrays:
            places = np.searchsorted(array, digests)
            new &= array[np.minimum(places, len(array) - 1)] != digests
        if new.any():
            self._keep(np.sort(digests[new]))
        return [name for name, is_new in zip(first.values(), new, strict=True) if is_new]

    def _keep(self, array: np.ndarray) -> None:
        while self._arrays and len(self._arrays[-1]) <= len(array):
            array = np.sort(np.concatenate([self._arrays.pop(), array]), kind="stable")
        self._arrays.append(array)


def _digest(name: str) -> bytes:
    return blake2b(name.encode(), digest_size=_DIGEST).digest()

"""Photos with their captions, in image-level splits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from captioner.errors import CaptionerError

SPLITS = ("train", "dev", "test")

ENOUGH_PHOTOS = 100
"""The fewest dev photos that an epoch, search settings or a confidence are chosen by; with fewer, chance decides."""


@dataclass(frozen=True)
class Example:
    """One photo and the captions that people wrote for it, as written.

    Attributes:
        image: full path of the photo; it was there when its folder was listed, but nobody has opened it.
        captions: at least one caption, none of them blank, in the order of the caption file.
    """

    image: Path
    captions: tuple[str, ...]


@dataclass(frozen=True)
class CaptionDataset:
    """The examples of a data set by split; no photo is in two splits.

    Attributes:
        name: "flickr8k", or the name of the folder that the data set was read from.
        splits: "train", "dev" and "test", always all three; a split may be empty.
        issues: what is wrong with the files, one short phrase each; all else was read.
    """

    name: str
    splits: Mapping[str, tuple[Example, ...]]
    issues: tuple[str, ...] = ()

    def split(self, name: str) -> tuple[Example, ...]:
        """Return the examples of the split `name`, at least one.

        Raises:
            CaptionerError: there is no such split, or it is empty.
        """
        examples = self.splits.get(name, ())
        if not examples:
            filled = [f"{key} ({len(value)} photos)" for key, value in self.splits.items() if value]
            raise CaptionerError(
                f"the {name} split of {self.name} holds no photos; those that do: {', '.join(filled) or 'none'}. "
                "Choose one of those, or add the missing split file and photos to the data folder"
            )
        return examples

    def report(self) -> str:
        """Return one line for people: the size of every split, and the issues."""
        sizes = ", ".join(f"{len(self.splits[name])} {name}" for name in SPLITS)
        issues = f"; issues: {'; '.join(self.issues)}" if self.issues else ""
        return f"{self.name}: {sizes} photos{issues}"

    def limited(self, n: int) -> "CaptionDataset":
        """Return the data set with only the first `n` examples of every split."""
        return replace(self, splits={name: examples[:n] for name, examples in self.splits.items()})

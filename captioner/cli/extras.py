"""What `predict` writes for each photo besides its line: a picture of the attention, a text file, a description."""

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from captioner.errors import PhotoError
from captioner.photos.streams import NamedContent
from captioner.runtime.caption import Caption
from captioner.system.atomic import tells_of_no_room
from captioner.system.files import write_text


@dataclass(frozen=True)
class Extras:
    """The files that are written for each photo besides its line.

    Attributes:
        pictures: where the pictures of the attention go, if they are wanted.
        sidecars: where the text files go.
        copies: where the copies with a description go; a photo's own path changes the photo.
        overwrite: whether text files and descriptions that are there are replaced.
        append: whether the caption is added to a description that is there.
        doubtful: whether doubtful captions are embedded too.
        contents: of the photos that came through a pipe.
        kept: the photos whose descriptions were kept.
        kept_texts: the photos whose text files were kept, and say something else.
        withheld: the photos whose captions were too doubtful to embed.
    """

    pictures: dict[Path, Path]
    sidecars: dict[Path, Path]
    copies: dict[Path, Path]
    overwrite: bool
    append: bool
    doubtful: bool = True
    contents: Mapping[Path, NamedContent] = field(default_factory=dict)
    kept: list[Path] = field(default_factory=list)
    kept_texts: list[Path] = field(default_factory=list)
    withheld: list[Path] = field(default_factory=list)

    def folders(self) -> set[Path]:
        """Return the folders of all these files."""
        return {path.parent for paths in (self.pictures, self.sidecars, self.copies) for path in paths.values()}

    def are_there(self, photo: Path) -> bool:
        """Return whether an earlier run wrote everything for the photo."""
        wanted = [paths[photo] for paths in (self.pictures, self.sidecars, self.copies) if paths]
        there = all(os.path.exists(path) for path in wanted)  # noqa: PTH110  # a name too long is not there
        return there and (not self.copies or self._is_described(photo))

    def _is_described(self, photo: Path) -> bool:
        """Return whether embedding would change nothing; with `--append`, that depends on the caption, unknown here."""
        from captioner.photos.metadata.embed import is_described

        return not self.append and (self.copies[photo] != photo or is_described(photo))

    def notes(self, captioned: int) -> list[str]:
        """Return a line for each kind of thing that was not written for some of the captioned photos."""
        found = []
        if self.kept_texts:
            found.append(
                f"kept: the texts beside {len(self.kept_texts)} of {captioned} photos (--overwrite replaces them)"
            )
        if self.kept:
            found.append(
                f"kept: the descriptions of {len(self.kept)} of {captioned} photos (--overwrite replaces them, "
                "--append adds the captions to them)"
            )
        if self.withheld:
            found.append(
                f"not embedded: {len(self.withheld)} of {captioned} captions, which are doubtful (--embed-all writes "
                "them too)"
            )
        return found

    def write(self, photo: Path, caption: Caption) -> list[str]:
        """Write the files, and return what failed."""
        try:
            self._write(photo, caption)
        except PhotoError as error:
            return [str(error)]
        except OSError as error:
            if tells_of_no_room(error):
                raise
            if error.errno != errno.ENAMETOOLONG:
                wanted = error.filename2 or error.filename or "what belongs to it"
                return [f"{photo}: cannot write {wanted}: {error.strerror}"]
            return [f"{photo}: its name is too long to write {error.filename or 'anything'} beside it; rename it"]
        return []

    def _write(self, photo: Path, caption: Caption) -> None:
        if self.pictures:
            from captioner.photos.opening import open_photo
            from captioner.pictures import draw_attention

            draw_attention(
                self.pictures[photo], open_photo(self.contents.get(photo, photo)), caption.words, caption.attention
            )
        if self.sidecars:
            self._write_sidecar(photo, f"{caption.text}\n")
        if self.copies and caption.doubtful and not self.doubtful:
            self.withheld.append(photo)
        elif self.copies:
            from captioner.photos.metadata.embed import Existing, embed_caption

            existing = Existing.REPLACE if self.overwrite else Existing.APPEND if self.append else Existing.KEEP
            if embed_caption(photo, self.copies[photo], caption.text, existing):
                self.kept.append(photo)

    def _write_sidecar(self, photo: Path, text: str) -> None:
        path = self.sidecars[photo]
        if self.overwrite or not path.is_file():
            write_text(path, text)
            return
        with path.open("rb") as file:
            if file.read(len(text) + 1) != text.encode():
                self.kept_texts.append(photo)

"""The text of a language model: found or downloaded, read unchanged, and cut into contiguous parts."""

import codecs
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import IncrementalNewlineDecoder
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import IO

from captioner.data.encoding import PIECE, decoded_pieces
from captioner.data.flickr8k import HOME, find_or_download
from captioner.data.formats import read_dataset
from captioner.errors import CaptionerError
from captioner.system.atomic import naming
from captioner.system.standard_input import STDIN, TYPED, open_input

PIPE_IN_MEMORY = 1 << 24
"""Bytes of a pipe that are kept in memory; a longer one goes to the disk."""


@dataclass(frozen=True)
class Corpus:
    """A text and its name.

    Attributes:
        name: the file's name without its ending, or that of the data set.
        text: every character as it stands in the file.
    """

    name: str
    text: str

    def split(self, shares: Sequence[int]) -> list[str]:
        """Cut the text into contiguous parts, in the order of `shares`, which are hundredths of its characters."""
        ends = [len(self.text) * sum(shares[: number + 1]) // 100 for number in range(len(shares))]
        return [self.text[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


class TextFile:
    """A file in UTF-8, open to be read in pieces, as often as one likes; a context manager.

    A pipe can be read but once, so it is first copied to a temporary file, which goes when this one is closed.

    Args:
        path: the file, or "-" for standard input.

    Raises:
        CaptionerError: on entering, where the file is missing or unreadable.
    """

    def __init__(self, path: str | Path) -> None:
        self._typed = str(path)
        self.path = STDIN if self._typed == TYPED else Path(path)

    def __enter__(self) -> "TextFile":
        """Open the file."""
        with self._reading():
            self._file: IO[bytes] = open_input(self._typed)
        try:
            if not self._file.seekable():
                self._file = self._copied(self._file)
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self._file.close()

    def pieces(self, unix: bool = False) -> Iterator[str]:
        """Yield the text from its beginning, in pieces of up to `encoding.PIECE` characters, none of them empty.

        The forms of letters stay as they are, a byte order mark goes.

        Args:
            unix: whether a line end of any system becomes a line feed; otherwise line ends stay too.

        Raises:
            CaptionerError: the file cannot be read, or is not UTF-8.
        """
        with self._reading():
            self._file.seek(0)
            if self._file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                raise CaptionerError(
                    f"the text {self.path} is UTF-16, expected UTF-8; convert it: iconv -f UTF-16 -t UTF-8 {self.path} "
                    "> utf8.txt"
                )
            pieces = decoded_pieces(self._file, self.path, "the text ")
            yield from _with_unix_line_ends(pieces) if unix else pieces

    def _copied(self, pipe: IO[bytes]) -> IO[bytes]:
        copy = tempfile.SpooledTemporaryFile(PIPE_IN_MEMORY)  # noqa: SIM115  # the caller closes it
        try:
            with pipe, naming(Path(tempfile.gettempdir())):
                while raw := self._read(pipe):
                    copy.write(raw)
        except BaseException:
            copy.close()
            raise
        return copy

    def _read(self, pipe: IO[bytes]) -> bytes:
        with self._reading():
            return pipe.read(PIECE)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CaptionerError(f"cannot read the text {self.path}: {error.strerror}; name a file in UTF-8") from error


def _with_unix_line_ends(pieces: Iterable[str]) -> Iterator[str]:
    """Translate line ends as Python's text mode does; the two characters of one may lie in two pieces."""
    decoder = IncrementalNewlineDecoder(None, translate=True)
    for piece in chain(pieces, [""]):
        if text := decoder.decode(piece, final=not piece):
            yield text


def read_text_file(path: str | Path) -> str:
    """Read a file in UTF-8; line ends and the forms of letters stay as they are, a byte order mark goes.

    Raises:
        CaptionerError: the file is missing or unreadable, or not UTF-8.
    """
    with TextFile(path) as file:
        return "".join(file.pieces())


def read_corpus(path: str | Path) -> Corpus:
    """Read a text file as a corpus that is called like the file.

    Raises:
        CaptionerError: as `read_text_file`.
    """
    return Corpus(Path(path).stem, read_text_file(path))


def find_captions(
    data: str | Path | None, data_format: str = "auto", environ: Mapping[str, str] = os.environ
) -> Corpus | None:
    """Return the captions of the data set in `data`, else in $CAPTIONER_DATA, else in datasets/flickr8k, one a line.

    Those of the test split are left out, so that a model of them may still be scored there. Nothing is downloaded:
    without any of the three, the result is None.

    Raises:
        CaptionerError: a folder that the user named is missing or cannot be read.
    """
    if data is not None or environ.get("CAPTIONER_DATA"):
        dataset = find_or_download(data, data_format, environ=environ)
    else:
        try:
            dataset = read_dataset(HOME, data_format)
        except CaptionerError:
            return None
    captions = [caption for name in ("train", "dev") for each in dataset.splits[name] for caption in each.captions]
    return Corpus(f"{dataset.name}-captions", "".join(f"{caption}\n" for caption in captions))

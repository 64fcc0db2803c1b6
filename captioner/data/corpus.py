"""A text for a language model: where it comes from, read as it is, and cut into contiguous parts."""

import codecs
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from captioner.data.encoding import decoded
from captioner.data.flickr8k import HOME, find_or_download
from captioner.data.formats import read_dataset
from captioner.errors import CaptionerError


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


def read_text_file(path: str | Path) -> str:
    """Read a file in UTF-8; line ends and the forms of letters stay as they are, a byte order mark goes.

    Raises:
        CaptionerError: the file is missing or unreadable, or not UTF-8.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CaptionerError(f"cannot read the text {path}: {error.strerror}; name a file in UTF-8") from error
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise CaptionerError(
            f"the text {path} is UTF-16, expected UTF-8; convert it: iconv -f UTF-16 -t UTF-8 {path} > utf8.txt"
        )
    return decoded(raw, path, "the text ")


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

"""Guess the encoding of a text that is not UTF-8, and say how to convert it."""

import codecs
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import IO

from captioner.data.data_issues import printable
from captioner.errors import CaptionerError

PIECE = 1 << 20
"""Bytes of a file that are decoded together."""

SAMPLE = 1 << 15
"""Bytes that are looked at for a guess; more make it no better, and take long in odd files."""

MOST_LINES = 1000
"""Lines that are looked at, and kept, for a guess."""

ENCODINGS = {
    "cp1252": "Western European",
    "cp1250": "Central European",
    "cp1251": "Cyrillic",
    "cp1253": "Greek",
    "cp1254": "Turkish",
    "cp1255": "Hebrew",
    "cp1256": "Arabic",
    "cp1257": "Baltic",
    "cp1258": "Vietnamese",
    "cp874": "Thai",
    "gb18030": "Chinese",
    "big5": "traditional Chinese",
    "cp932": "Japanese, Shift JIS",
    "euc_jp": "Japanese, EUC",
    "cp949": "Korean",
    "koi8_r": "Cyrillic, KOI8",
}
"""Those that caption files are found in, as Python calls them: what they are for."""

WESTERN = frozenset(
    "àáâãäåæçèéêëìíîïñòóôõöøùúûüßœÀÁÂÃÄÅÆÇÈÉÊËÍÎÏÑÒÓÔÕÖØÙÚÛÜŒ¿¡«»…€£°·"
    "\u2013\u2014\u2018\u2019\u201a\u201c\u201d\u201e\u2039\u203a\xb4"  # dashes, quotes
)
"""Beyond ASCII, what Western European texts are written with."""


def decoded(raw: bytes, path: Path, what: str = "") -> str:
    """Return the text of a file in UTF-8, with or without a byte order mark, or in UTF-16 with one.

    Args:
        raw: what the file holds.
        path: the file, for the message.
        what: how to call it there, such as "the text ".

    Raises:
        CaptionerError: it is in another encoding; the message names the likeliest, and how to convert the file.
    """
    return "".join(decoded_pieces(BytesIO(raw), path, what))


def decoded_pieces(file: IO[bytes], path: Path, what: str = "") -> Iterator[str]:
    """Yield the text of a file as `decoded` returns it, in pieces of `PIECE` bytes, of which none is empty.

    A character whose bytes lie in two pieces belongs to the second.

    Args:
        file: open and seekable, since it is read again for the message.
        path: the file, for the message.
        what: how to call it there.

    Raises:
        CaptionerError: as `decoded`, when the place is reached.
    """
    file.seek(0)
    head = file.read(1024)
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):  # the first begins as UTF-16 does
        raise CaptionerError(f"{what}{path} is UTF-32, expected UTF-8; {_remedy('UTF-32', path)}")
    encoding = "utf-16" if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8"
    if encoding == "utf-8" and _looks_like_utf_16(head):
        raise CaptionerError(
            f"{what}{path} is UTF-16 without a byte order mark, expected UTF-8; {_remedy('UTF-16', path)}"
        )
    decoder = codecs.getincrementaldecoder(encoding)()
    place = file.seek(len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0)
    raw = b"-"
    while raw:
        raw = file.read(PIECE)
        waiting, _ = decoder.getstate()  # the first bytes of a character that the piece before ended in
        try:
            text = decoder.decode(raw, final=not raw)
        except UnicodeDecodeError as error:
            byte, start = error.object[error.start], place - len(waiting) + error.start
            found = f"(byte 0x{byte:02x} at position {start}) in line {_newlines(file, start) + 1}"
            file.seek(0)
            raise _not_decoded(file, encoding, path, f"{what}{path} is not {encoding.upper()} {found}") from error
        place += len(raw)
        if text:
            yield text


def _not_decoded(file: IO[bytes], encoding: str, path: Path, found: str) -> CaptionerError:
    """Return the error that begins with what was `found` where, and adds a guess from the lines of the file."""
    if encoding == "utf-16":
        return CaptionerError(f"{found}, though it begins so; save it again as UTF-8")
    whole, broken, examples = _lines_beyond_ascii(file)
    if whole > broken:
        numbers = ", ".join(str(number) for number, _ in examples[:5]) + (", ..." if broken > 5 else "")
        return CaptionerError(f"{found}, while {whole} other lines are; correct what is damaged, line {numbers}")
    guess = _guess(examples)
    if not guess:
        return CaptionerError(f"{found}, nor in any encoding that could be guessed; {_remedy('ENCODING', path)}")
    example = printable(" ".join(examples[0][1].decode(guess, errors="replace").split()))
    return CaptionerError(
        f'{found}; it looks like {ENCODINGS[guess]} ({guess}), in which the line reads "{example}". If that is '
        f"right, {_remedy(guess.upper().replace('_', '-'), path)}"
    )


def _newlines(file: IO[bytes], end: int) -> int:
    """Count the line ends in the first `end` bytes."""
    file.seek(0)
    count = 0
    while end > 0 and (raw := file.read(min(PIECE, end))):
        count += raw.count(b"\n")
        end -= len(raw)
    return count


def _looks_like_utf_16(head: bytes) -> bool:
    """Return whether every other byte of the beginning is 0, which text in ASCII letters has in UTF-16 alone."""
    return len(head) >= 8 and any(
        head[first::2].count(0) >= 0.9 * len(head[first::2]) and 0 not in head[1 - first :: 2] for first in (0, 1)
    )


def _lines_beyond_ascii(file: IO[bytes]) -> tuple[int, int, list[tuple[int, bytes]]]:
    """Return how many lines beyond ASCII are UTF-8 and how many are not, and the first of the latter by number."""
    whole = broken = 0
    examples: list[tuple[int, bytes]] = []
    for number, line in enumerate(file, start=1):
        if line.isascii():
            continue
        try:
            line.decode()
            whole += 1
        except UnicodeDecodeError:
            broken += 1
            if len(examples) < MOST_LINES:
                examples.append((number, line[:SAMPLE]))
    return whole, broken, examples


def _guess(lines: list[tuple[int, bytes]]) -> str:
    """Return the likeliest encoding of lines, as Python calls it; "" for none."""
    sample = b"".join(line for _, line in lines)[:SAMPLE]
    western = sample.decode("cp1252", errors="replace")
    accents = [character for character in western if not character.isascii()]
    if set(accents) <= WESTERN and len(accents) < max(
        2, 0.2 * len(western)
    ):  # few accents look right in many encodings
        return "cp1252"
    try:
        from charset_normalizer import from_bytes  # 0.1 s, for broken files alone
    except ImportError:  # which comes with what training needs
        return ""
    best = from_bytes(sample, cp_isolation=list(ENCODINGS)).best()
    return best.encoding if best is not None and best.encoding in ENCODINGS else ""


def _remedy(encoding: str, path: Path) -> str:
    new = f"utf8{path.suffix}"
    return f"convert it: iconv -f {encoding} -t UTF-8 {path} > {new}; or save it again as UTF-8 (in Excel: CSV UTF-8)"

"""Which encoding a text is in that is not UTF-8: a guess, and how to make UTF-8 of it."""

import codecs
from io import BytesIO
from pathlib import Path

from captioner.data.data_issues import printable
from captioner.errors import CaptionerError

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
    if raw.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):  # the first begins as UTF-16 does
        raise CaptionerError(f"{what}{path} is UTF-32, expected UTF-8; {_remedy('UTF-32', path)}")
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _strictly(raw, "utf-16", path, what)
    if _looks_like_utf_16(raw):
        raise CaptionerError(
            f"{what}{path} is UTF-16 without a byte order mark, expected UTF-8; {_remedy('UTF-16', path)}"
        )
    return _strictly(raw, "utf-8-sig", path, what)


def _strictly(raw: bytes, encoding: str, path: Path, what: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        name = "UTF-16" if encoding == "utf-16" else "UTF-8"
        byte, line = raw[error.start], raw.count(b"\n", 0, error.start) + 1
        found = f"{what}{path} is not {name} (byte 0x{byte:02x} at position {error.start}) in line {line}"
        if name == "UTF-16":
            raise CaptionerError(f"{found}, though it begins so; save it again as UTF-8") from error
        whole, broken, examples = _lines_beyond_ascii(raw)
        if whole > broken:
            numbers = ", ".join(str(number) for number, _ in examples[:5]) + (", ..." if broken > 5 else "")
            raise CaptionerError(
                f"{found}, while {whole} other lines are; mend what is damaged, line {numbers}"
            ) from error
        guess = _guess(examples)
        if not guess:
            raise CaptionerError(
                f"{found}, nor in any encoding that could be guessed; {_remedy('ENCODING', path)}"
            ) from error
        example = printable(" ".join(examples[0][1].decode(guess, errors="replace").split()))
        raise CaptionerError(
            f'{found}; it looks like {ENCODINGS[guess]} ({guess}), in which the line reads "{example}". If that is '
            f"right, {_remedy(guess.upper().replace('_', '-'), path)}"
        ) from error


def _looks_like_utf_16(raw: bytes) -> bool:
    """Return whether every other byte of the beginning is 0, which text in ASCII letters has in UTF-16 alone."""
    head = raw[:1024]
    return len(head) >= 8 and any(
        head[first::2].count(0) >= 0.9 * len(head[first::2]) and 0 not in head[1 - first :: 2] for first in (0, 1)
    )


def _lines_beyond_ascii(raw: bytes) -> tuple[int, int, list[tuple[int, bytes]]]:
    """Return how many lines beyond ASCII are UTF-8 and how many are not, and the first of the latter by number."""
    whole = broken = 0
    examples: list[tuple[int, bytes]] = []
    for number, line in enumerate(BytesIO(raw), start=1):
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

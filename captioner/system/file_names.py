"""The names of files, which need not be text."""

import re
import unicodedata

ODD_NAMES = "backslashreplace"
"""A file's name need not be text; JSON readers understand the \\udcff that results."""

_LIKE_ODD = re.compile(r"\\+(?=[\ud800-\udfff]|ud[89a-f][0-9a-f]{2})")


def written(name: str) -> str:
    """Return a file's name as it stands in UTF-8 text: bytes that are no text as \\udcff.

    Where a backslash that is in the name would be taken for the beginning of such an escape, it is doubled, so that no
    two names become one.
    """
    return _LIKE_ODD.sub(r"\g<0>\g<0>", name).encode("utf-8", ODD_NAMES).decode("utf-8")


def folded(name: str) -> str:
    """Return a key that is equal for names that differ only in case or Unicode form."""
    return unicodedata.normalize("NFC", name).casefold()

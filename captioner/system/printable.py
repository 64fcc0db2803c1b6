"""Make strangers' text safe to print: nothing in it moves the cursor or ends the line."""

import json
import os
import re
from typing import Any

HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters (C0, with ESC, tab and line ends; DEL; C1), line and paragraph separators, what embeds, overrides
or isolates the direction of text, and halves of characters."""


_LIKE_ESCAPES = re.compile(rf"\\+(?={HARMFUL.pattern}|[nrt]|x[0-9a-f]{{2}}|u[0-9a-f]{{4}})")


def in_a_line(text: str) -> str:
    """Return text as it stands in a line: `HARMFUL` characters as Python escapes them, such as \\n, \\x1b, \\u202e."""
    return HARMFUL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def name_in_a_line(name: str) -> str:
    """Return a file's name as `in_a_line` does, but no two names alike.

    A backslash is doubled where it would be taken for the beginning of an escape; not on Windows, where it separates
    folders and no name holds a line end.
    """
    return in_a_line(name if os.sep == "\\" else _LIKE_ESCAPES.sub(r"\g<0>\g<0>", name))


def in_lines(text: str) -> str:
    """Return text of several lines: line ends and tabs stay, other `HARMFUL` characters are escaped."""
    return HARMFUL.sub(lambda found: found[0] if found[0] in "\n\t" else in_a_line(found[0]), text)


def to_json(value: Any) -> str:
    """Return JSON in a line, whose strings hold letters of all languages as they are, and `HARMFUL` ones as \\uXXXX."""
    return HARMFUL.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))

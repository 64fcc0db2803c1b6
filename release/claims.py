"""What documents say of the shipped models, held against what the models print.

`claims.toml` has the sentences and rows of tables, with the names of facts in the place of their values:

    ["docs/results.md"]
    claims = ["| `saved_models/flickr8k` | {flickr8k.dev.alone.bleu1:.1f} | {flickr8k.dev.alone.bleu2:.1f} |"]
    look = ["Seed 1 ships"]

A claim has to stand in its document, once or several times; where lines are broken does not matter. Behind the colon
stands how a value is written: a format of Python for numbers; nothing for a caption or another text within a line;
`lines` for whole lines. Values that differ can be replaced, as nothing but the value is touched. `look` has what a
person has to read again after a change, because no rule could write it. A number that nobody has measured yet may stand
as XX.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from captioner.errors import CaptionerError

FIELD = re.compile(r"\{([\w. -]+)(?::([^{}]*))?\}")
NUMBER, TEXT, LINES = r"(?:[-+]?[\d,]*\.?\d+|XX)", r"(?:[^\"|\n]|\n(?!\n))+?", r"(?:[^\n]*\n)+?"


@dataclass(frozen=True)
class Difference:
    """A place where a document says something else than the models.

    Attributes:
        line: of the document, from 1.
        said: what stands there; empty where a whole claim is missing.
        right: what the models print, or the claim that is missing.
        span: where the value stands.
    """

    line: int
    said: str
    right: str
    span: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Document:
    """What is known of a document's claims."""

    path: Path
    claims: Sequence[str]
    look: Sequence[str]


def read_claims(path: Path, root: Path) -> list[Document]:
    """Read `claims.toml`.

    Raises:
        CaptionerError: it is no such file.
        OSError: it cannot be read.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        return [Document(root / name, each["claims"], each.get("look", ())) for name, each in found.items()]
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise CaptionerError(f"{path}: expected a table with `claims` for each document, but: {error}") from error


def fact(facts: Mapping[str, Any], name: str) -> Any:
    """Return the fact with a name such as `flickr8k.dev.alone.cider`; parts of a list are numbers.

    Raises:
        CaptionerError: there is none.
    """
    try:
        return reduce(lambda found, part: found[int(part) if isinstance(found, list) else part], name.split("."), facts)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise CaptionerError(f"no fact is called {name}; release/facts.py has those that there are") from error


def differences(text: str, claims: Sequence[str], facts: Mapping[str, Any]) -> list[Difference]:
    """Return where a document differs from the facts, in the order of its text; missing claims come first.

    Raises:
        CaptionerError: a claim names a fact that there is not.
    """
    found = []
    for claim in claims:
        matches = list(_pattern(claim).finditer(text))
        if not matches:
            found.append(Difference(1, "", claim))
        for match in matches:
            for number, (name, style) in enumerate(_fields(claim), start=1):
                right, said = written(fact(facts, name), style), match[number]
                if re.sub(r"\s+", " ", said) != re.sub(r"\s+", " ", right):
                    line = text.count("\n", 0, match.start(number)) + 1
                    found.append(Difference(line, said, right, match.span(number)))
    return sorted(found, key=lambda each: each.span)


def corrected(text: str, found: Sequence[Difference]) -> str:
    """Return the text of a document with the right values; what is missing stays missing."""
    for each in sorted({each.span: each for each in found if each.said}.values(), key=lambda each: -each.span[0]):
        text = text[: each.span[0]] + each.right + text[each.span[1] :]
    return text


def places(text: str, look: Sequence[str]) -> list[Difference]:
    """Return where the sentences stand that a person has to read again; line 0 for those that stand nowhere."""
    found = []
    for sentence in look:
        match = _pattern(sentence).search(text)
        found.append(Difference(text.count("\n", 0, match.start()) + 1 if match else 0, "", sentence))
    return found


def written(value: Any, style: str) -> str:
    """Return a value as documents write it."""
    if style == "lines" or not style:
        return str(value)
    return format(value, style).replace("-0.0", "0.0") if style.endswith("f") else format(value, style)


def _fields(claim: str) -> Iterator[tuple[str, str]]:
    for match in FIELD.finditer(claim):
        yield match[1], match[2] or ""


def _pattern(claim: str) -> re.Pattern[str]:
    """Return an expression with a group for each value; blanks may be the ends of lines."""
    parts, end = [], 0
    for match in FIELD.finditer(claim):
        style = match[2] or ""
        kind = {"lines": LINES, "": TEXT}.get(style, NUMBER + "%" * style.endswith("%"))
        parts += [_literal(claim[end : match.start()]), f"({kind})"]
        end = match.end()
    return re.compile("".join([*parts, _literal(claim[end:])]))


def _literal(text: str) -> str:
    return r"\s+".join(map(re.escape, re.split(r"[ \n]+", text))) if text else ""

"""A text as a web page, each character coloured by its surprisal under a language model."""

import html
import math
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import IO

import numpy as np

from captioner.errors import UsageError
from captioner.metrics.likelihood import RunningLikelihood
from captioner.system.atomic import atomic_write
from captioner.system.file_names import ODD_NAMES

SHADES = 10
"""The strongest colour stands for this many bits and more."""

HEAD = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The surprise of each character</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.6 system-ui, sans-serif; max-width: 60rem; margin: 2em auto; padding: 0 1em }}
h1 {{ font-size: 1.4em; line-height: 1.3 }}
main {{ font-family: ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere }}
i {{ font-style: normal }}
ol {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(4.5rem, 1fr)); padding: 0; list-style: none }}
li {{ padding: .2em .3em; text-align: center; line-height: 1.3 }}
li b, li small {{ display: block }}
{styles}
</style>
</head>
<body>
<h1>The surprise of each character</h1>
<p>{summary}</p>{adapted}
<p>The stronger the colour, the less the model had expected the character, in bits. At 0 bits it was certain; each bit
more halves the probability that the model gave it. The scale, from the least to the most surprising:</p>
<ol aria-label="Bits of surprise, and probability">
{legend}
</ol>
<p>Bits are rounded to the nearest colour. Point at a character with a mouse to read its own.</p>
<main lang="">"""

BEGINNING = HEAD.partition("<style>")[0].encode()
"""By which a page is known."""

TAIL = """</main>
</body>
</html>
"""

ADAPTED = "<p>The model adapted to the text: it predicted each character from the text before it.</p>"


class SurprisalPage:
    """A writer of a self-contained page, to which the text comes in pieces.

    Pointing at a character shows its bits. A new line shows as an arrow, since it can be a surprise too.

    Args:
        body: takes the characters as they come; they stand behind the figures, which are known at the end.
        adapted: whether the model adapted to the text, for which the page has a line.
    """

    def __init__(self, body: IO[str], adapted: bool = False) -> None:
        self._body = body
        self._adapted = adapted
        self._likelihood = RunningLikelihood()
        self._least, self._most = math.inf, -math.inf

    def add(self, text: str, surprisals: np.ndarray | Sequence[float]) -> None:
        """Add n characters and their surprisals (n,), in nats."""
        bits = (np.asarray(surprisals, np.float64) / math.log(2)).tolist()
        self._body.write("".join(_marked(character, each) for character, each in zip(text, bits, strict=True)))
        self._likelihood.add(surprisals)
        self._least, self._most = min([self._least, *bits]), max([self._most, *bits])

    def head(self) -> str:
        """Return what stands before the characters."""
        summary = "no characters"
        if self._likelihood.characters:
            scores = self._likelihood.scores()
            summary = (
                f"{scores['characters']} characters, {scores['nats_per_char']:.3f} nats or "
                f"{scores['bits_per_char']:.3f} bits a character, from {self._least:.1f} to {self._most:.1f} bits, "
                f"perplexity {scores['perplexity']:.2f}"
            )
        return HEAD.format(
            styles="\n".join(
                f".b{shade} {{ background: rgb(230 70 30 / {9 * shade}%) }}" for shade in range(SHADES + 1)
            ),
            summary=summary,
            adapted=f"\n{ADAPTED}" if self._adapted else "",
            legend="\n".join(map(_step, range(SHADES + 1))),
        )


def surprisal_page(text: str, surprisals: np.ndarray | Sequence[float]) -> str:
    """Lay out N characters with their surprisals (N,), in nats, as a `SurprisalPage`."""
    body = StringIO()
    page = SurprisalPage(body)
    page.add(text, surprisals)
    return page.head() + body.getvalue() + TAIL


def refuse_other_content(path: Path) -> None:
    """Raise UsageError where a file is no such page."""
    if path.is_file():
        with path.open("rb") as file:
            if file.read(len(BEGINNING)) != BEGINNING:
                raise UsageError(f"--surprise {path}: holds something else, which would be lost; name another file")


@contextmanager
def written_page(path: str | Path, adapted: bool = False) -> Iterator[SurprisalPage]:
    """Yield a page to add to, and write it to `path` when the block ends well: whole or not at all.

    However long the text is, little of it is held in memory.
    """
    with atomic_write(path) as temporary:
        characters = temporary.with_name("characters")  # goes with the directory that it shares with the stand-in
        with characters.open("w", encoding="utf-8", errors=ODD_NAMES, newline="\n") as body:
            page = SurprisalPage(body, adapted)
            yield page
        with temporary.open("w", encoding="utf-8", newline="\n") as whole:
            whole.write(page.head())
            with characters.open(encoding="utf-8", newline="") as body:
                shutil.copyfileobj(body, whole)
            whole.write(TAIL)


def _step(bits: int) -> str:
    """Return a step of the scale, with its colour, its bits, and the probability that they stand for."""
    more, less = (" and more", " or less") if bits == SHADES else ("", "")
    odds = f"1 in {2**bits:,}{less}" if bits else "certain"
    return f'<li class="b{bits}"><b>{bits}{more}</b> <small>{odds}</small></li>'


def _marked(character: str, bits: float) -> str:
    shown = {"\n": "\u21b5\n", "\t": "\t"}.get(character, html.escape(character))
    if character < " " and character not in "\n\t":  # HTML has no place for them; Unicode has pictures of them
        shown = chr(0x2400 + ord(character))
    return f'<i class="b{min(SHADES, round(bits))}" title="{bits:.1f}">{shown}</i>'

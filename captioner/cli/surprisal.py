"""A text as a web page, each character coloured by how little a language model had expected it."""

import html
import math
from collections.abc import Sequence

import numpy as np

from captioner.metrics.likelihood import likelihood

SHADES = 10
"""The strongest colour stands for this many bits and more."""

PAGE = """\
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
<p>{summary}</p>
<p>The stronger the colour, the less the model had expected the character, in bits. At 0 bits it was certain; each bit
more halves the probability that the model gave it. The scale, from the least to the most surprising:</p>
<ol aria-label="Bits of surprise, and probability">
{legend}
</ol>
<p>Bits are rounded to the nearest colour. Point at a character with a mouse to read its own.</p>
<main lang="">{text}</main>
</body>
</html>
"""


def surprisal_page(text: str, surprisals: np.ndarray | Sequence[float]) -> str:
    """Lay out N characters with their surprisals (N,), in nats, as one page that needs no other file.

    Pointing at a character tells its bits. A new line shows as an arrow, since it can be a surprise too.
    """
    bits = np.asarray(surprisals, np.float64) / math.log(2)
    summary = "no characters"
    if text:
        scores = likelihood(surprisals)
        summary = (
            f"{scores['characters']} characters, {scores['nats_per_char']:.3f} nats or {scores['bits_per_char']:.3f} "
            f"bits a character, from {bits.min():.1f} to {bits.max():.1f} bits, perplexity {scores['perplexity']:.2f}"
        )
    return PAGE.format(
        styles="\n".join(f".b{shade} {{ background: rgb(230 70 30 / {9 * shade}%) }}" for shade in range(SHADES + 1)),
        summary=summary,
        legend="\n".join(map(_step, range(SHADES + 1))),
        text="".join(_marked(character, each) for character, each in zip(text, bits.tolist(), strict=True)),
    )


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

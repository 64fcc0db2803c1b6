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
<html lang="und">
<meta charset="utf-8">
<title>Surprise</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.6 ui-monospace, monospace; max-width: 100ch; margin: 2em auto; padding: 0 1em }}
main {{ white-space: pre-wrap; overflow-wrap: anywhere }}
i {{ font-style: normal }}
{styles}
</style>
<p>{summary}</p>
<p>Bits of surprise: {legend}</p>
<main>{text}</main>
</html>
"""


def surprisal_page(text: str, surprisals: np.ndarray | Sequence[float]) -> str:
    """Lay out N characters with their surprisals (N,), in nats, as one page that needs no other file.

    Pointing at a character tells its bits. A new line shows as an arrow, since it can be a surprise too.
    """
    scores = likelihood(surprisals) if text else None
    summary = (
        f"{scores['characters']} characters, {scores['nats_per_char']:.3f} nats or {scores['bits_per_char']:.3f} bits "
        f"a character, perplexity {scores['perplexity']:.2f}"
        if scores
        else "no characters"
    )
    bits = np.asarray(surprisals, np.float64) / math.log(2)
    return PAGE.format(
        styles="\n".join(f".b{shade} {{ background: rgb(230 70 30 / {9 * shade}%) }}" for shade in range(SHADES + 1)),
        summary=summary,
        legend=" ".join(f'<i class="b{shade}">{shade}</i>' for shade in range(SHADES + 1)),
        text="".join(_marked(character, each) for character, each in zip(text, bits.tolist(), strict=True)),
    )


def _marked(character: str, bits: float) -> str:
    shown = {"\n": "\u21b5\n", "\t": "\t"}.get(character, html.escape(character))
    if character < " " and character not in "\n\t":  # HTML has no place for them; Unicode has pictures of them
        shown = chr(0x2400 + ord(character))
    return f'<i class="b{min(SHADES, round(bits))}" title="{bits:.1f}">{shown}</i>'

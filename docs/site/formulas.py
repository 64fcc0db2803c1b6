"""Write formulas as MathML, which browsers draw without a script: `mkdocs.yml` names this file as a hook.

The documents have formulas as git hosts read them: `$...$` in a line, `$$...$$` on a line of its own, and
``$`...`$`` where a letter follows. Many systems lack a font for mathematics, without which indices sink into the line.
So the site brings one, STIX Two Math (SIL Open Font License), cut down to the characters of its formulas.
"""

import html
import re
from importlib.util import find_spec
from pathlib import Path

from fontTools.subset import Options, Subsetter, load_font, save_font
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.pages import Page

FONT = Path("site", "formulas.woff")
"""Where the site has the font; `site.css` names it."""

GLUED = re.compile(r"\$`([^`\n]+)`\$")
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)
TIGHT = re.compile(r"\\ln (?=[a-z\\])")

_characters: set[str] = set()


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Take the backticks off formulas that have them, as the Markdown extension knows the dollars alone."""
    return GLUED.sub(r"$\1$", markdown)


def on_page_content(content: str, page: Page, **_: object) -> str:
    """Put MathML in the place of each formula."""
    return FORMULA.sub(_formula, content)


def on_post_build(config: MkDocsConfig) -> None:
    """Write the font."""
    options = Options(flavor="woff", layout_features=["*"], name_IDs=["*"])
    font = load_font(str(Path(find_spec("ziamath").origin).parent / "fonts" / "STIXTwoMath-Regular.ttf"), options)
    subsetter = Subsetter(options)
    subsetter.populate(text="".join(_characters | _italic()))
    subsetter.subset(font)
    save_font(font, str(Path(config.site_dir) / FONT), options)


def _italic() -> set[str]:
    """Return the slanted letters, Latin and Greek, that browsers draw for variables."""
    return {chr(code) for code in (*range(0x1D434, 0x1D468), 0x210E, *range(0x1D6E2, 0x1D71C))}


def _formula(found: re.Match[str]) -> str:
    tag, display = found[1], "block" if found[2] == "[" else "inline"
    formula = convert(TIGHT.sub(r"\\ln\\, ", html.unescape(found[3])), display=display)
    _characters.update(html.unescape(re.sub(r"<[^>]*>", "", formula)))
    return f'<{tag} class="formula">{formula}</{tag}>'

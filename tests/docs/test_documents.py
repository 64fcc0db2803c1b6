"""The pages of `docs/`: what they quote, print, show and link to is so, and both languages say it alike."""

import contextlib
import io
import re
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = ("rnn.md", "rnn.ko.md")
MOST_BYTES = 200_000

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


class Block(NamedTuple):
    """A fenced block: its language, its text, and the line of the page on which it begins."""

    language: str
    text: str
    line: int


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(name: str) -> list[Block]:
    text = page(name)
    return [Block(*match.groups(), text.count("\n", 0, match.start()) + 1) for match in FENCE.finditer(text)]


def links(name: str) -> list[tuple[str, str, str]]:
    """Return ("!" for a figure, text, target) of every link that stands outside of code."""
    return LINK.findall(FENCE.sub("", page(name)))


def test_every_block_runs_and_prints_what_stands_below_it(monkeypatch):
    """Both pages have the same blocks (see below), so they run once."""
    monkeypatch.chdir(ROOT)
    found = blocks("rnn.md")
    namespace: dict[str, object] = {}
    ran = 0
    for block, below in zip(found, [*found[1:], Block("", "", 0)], strict=True):
        if block.language != "python":
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block.text, f"docs/rnn.md, line {block.line}", "exec"), namespace)
        expected = below.text if below.language == "text" else ""
        assert printed.getvalue() == expected, f"docs/rnn.md, line {block.line}"
        ran += 1
    assert ran > 10


def test_every_quotation_stands_in_its_file_in_this_order():
    quotations = [block for block in blocks("rnn.md") if block.language == "py"]
    assert len(quotations) > 5
    for block in quotations:
        first, *lines = block.text.splitlines()
        source = (ROOT / first.removeprefix("# ")).read_text(encoding="utf-8")
        place = 0
        for fragment in (part for line in lines for part in line.split("…") if part.strip()):
            place = source.find(fragment, place)
            assert place >= 0, f"docs/rnn.md, line {block.line}: {fragment!r} does not stand in {first}"
            place += len(fragment)


@pytest.mark.parametrize("name", PAGES)
def test_every_link_and_figure_is_there(name):
    found = links(name)
    assert len(found) > 20
    for figure, text, target in found:
        assert "://" not in target, "a page is read without a network"
        path, _, anchor = target.partition("#")
        assert (DOCS / path).is_file() if path else f"\n## {anchor.replace('-', ' ')}\n" in page(name).lower(), target
        assert not figure or len(text) > 40, f"{target}: a figure is described for those who cannot see it"


@pytest.mark.parametrize("name", PAGES)
def test_every_figure_is_shown_small_enough_and_made_by_a_script(name):
    shown = [target for figure, _, target in links(name) if figure]
    from docs.figures.make import RNN

    assert sorted(shown) == sorted(f"figures/{figure}.svg" for figure in RNN)
    for target in shown:
        assert (DOCS / target).stat().st_size < MOST_BYTES, target
        assert (DOCS / target).with_suffix(".py").is_file()


def test_both_languages_have_the_same_structure():
    def levels(name: str) -> list[str]:
        return re.findall(r"^(#+) ", FENCE.sub("", page(name)), re.MULTILINE)

    def numbers(name: str) -> list[str]:
        return re.findall(r"^## (\d+)\.", page(name), re.MULTILINE)

    def formulas(name: str) -> list[str]:
        return re.findall(r"^\$\$.*\$\$$", page(name), re.MULTILINE)

    def figures(name: str) -> list[str]:
        return [target for figure, _, target in links(name) if figure]

    def code(name: str) -> list[tuple[str, str]]:
        return [(block.language, block.text) for block in blocks(name)]

    for part in (levels, numbers, figures, code):
        assert part(PAGES[0]) == part(PAGES[1]), part.__name__
    # A formula may hold words, which are translated; what it says stays.
    assert len(formulas(PAGES[0])) == len(formulas(PAGES[1])) > 10


@pytest.mark.parametrize("name", PAGES)
def test_formulas_are_closed(name):
    prose = FENCE.sub("", page(name))
    assert prose.count("$$") % 2 == 0
    for line in re.sub(r"`[^`]*`", "", prose).splitlines():
        assert line.replace("$$", "").count("$") % 2 == 0, line

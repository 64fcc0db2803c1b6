"""The site's pages of the API: their examples run and print what stands below, and every public name has its place."""

import contextlib
import io
import re
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest

import captioner

ROOT = Path(__file__).parents[2]
API = ROOT / "docs" / "api"
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
DIRECTIVE = re.compile(r"^::: ([\w.]+)$", re.MULTILINE)
PAGES = sorted(path.name for path in API.glob("*.md"))
TRAINS = "train.md"


def page(name: str) -> str:
    return (API / name).read_text(encoding="utf-8")


def documented() -> set[str]:
    return {name for each in PAGES for name in DIRECTIVE.findall(page(each))}


def run(name: str) -> None:
    """Run the examples of a page in one session, and compare."""
    session: dict[str, object] = {}
    found = BLOCK.findall(page(name))
    assert found
    for code, expected in found:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, name, "exec"), session)
        assert printed.getvalue() == expected


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A folder with what the examples read."""
    for name in ("photos", "notebooks", "saved_models", "README.md"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", [name for name in PAGES if name not in (TRAINS, "index.md")])
def test_the_examples_print_what_stands_below_them(name, clone):
    run(name)


@pytest.mark.slow
def test_the_example_that_trains_prints_what_stands_below_it(clone):
    from captioner.system.progress import show_progress

    try:
        run(TRAINS)
    finally:
        show_progress(False)


def test_every_public_name_has_its_place():
    from captioner import layers, models

    names = {f"captioner.{name}" for name in captioner.__all__ if name not in ("__version__", "layers", "models")}
    names |= {f"{module.__name__}.{name}" for module in (layers, models) for name in module.__all__}
    assert names <= documented()


def test_what_has_a_place_exists():
    for name in documented():
        module, _, attribute = name.rpartition(".")
        assert getattr(import_module(module), attribute).__doc__, name


def test_the_index_names_what_the_pages_have():
    rows = re.findall(r"^\| \[[^\]]*\]\((\w+\.md)\) \| (.*?) \|", page("index.md"), re.MULTILINE)
    for name, names in rows:
        listed = set(re.findall(r"`(\w+)`", names))
        assert listed == {each.rpartition(".")[2] for each in DIRECTIVE.findall(page(name))} or name == "settings.md"
    assert {name for name, _ in rows} == set(PAGES) - {"index.md"}


def test_the_tables_of_settings_are_those_of_the_classes():
    sections = page("settings.md").split("\n## ")[1:]
    assert len(sections) == 5
    for section in sections:
        name = section.partition("\n")[0]
        kind = getattr(import_module("captioner.config"), name)
        rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
        assert [(row[0].strip("`"), row[1].strip("`"), row[-1]) for row in rows] == [
            (each.name, repr(each.default), each.metadata["help"]) for each in fields(kind)
        ]
        assert kind.__doc__.splitlines()[0] in section
        assert name in page("index.md")


def test_the_menu_has_every_page():
    menu = re.findall(r"(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert {name for name in menu if not name.startswith("files/")} == pages
    for name in menu:
        if name.startswith("files/"):
            inside = name.removeprefix("files/")
            assert (ROOT / inside).is_file() or (ROOT / inside.removesuffix(".md")).is_file(), name


def test_the_front_page_prints_a_caption(clone, capsys, monkeypatch):
    monkeypatch.delenv("CAPTIONER_ENCODER_WEIGHTS", raising=False)
    monkeypatch.setenv("HOME", str(clone))
    monkeypatch.setenv("XDG_CACHE_HOME", str(clone / "cache"))
    ((code, _),) = BLOCK.findall((ROOT / "docs" / "index.md").read_text(encoding="utf-8"))
    exec(compile(code, "index.md", "exec"), {})
    assert len(capsys.readouterr().out.split()) > 3

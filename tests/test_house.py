"""The size of functions, and what ARCHITECTURE.md says of the code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST_PARAMETERS, MOST_LINES = 6, 60
MORE_PARAMETERS = {"captioner/library.py:load": "keyword-only settings of the public `Captioner.load`"}
"""Functions that may have more parameters, with the reason."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions() -> Iterator[tuple[str, Function]]:
    for path in sorted((ROOT / "captioner").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, Function):
                yield f"{path.relative_to(ROOT)}:{node.name}", node


def parameters(function: Function) -> int:
    names = [each.arg for each in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def body_lines(function: Function) -> int:
    first = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return function.body[-1].end_lineno - first[0].lineno + 1 if first else 0


def test_no_function_has_more_than_six_parameters():
    many = {name for name, function in functions() if parameters(function) > MOST_PARAMETERS}
    assert many == set(MORE_PARAMETERS)


def test_no_function_has_a_body_of_more_than_sixty_lines():
    assert [name for name, function in functions() if body_lines(function) > MOST_LINES] == []


@pytest.fixture
def architecture() -> str:
    return (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def test_the_architecture_is_short(architecture):
    assert len(architecture.splitlines()) <= 120


def test_the_afternoon_has_the_files_and_lines_that_it_says(architecture):
    section = architecture.split("## Read it in an afternoon")[1].split("\n## ")[0]
    files = [ROOT / name for name in re.findall(r"`(captioner/\S+\.py)`", section)]
    assert len(files) > 10
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)
    (said,) = re.findall(r"([\d,]+) lines in this order", section)
    assert lines == pytest.approx(int(said.replace(",", "")), rel=0.1)


def test_every_module_that_the_architecture_names_exists(architecture):
    for name in set(re.findall(r"`((?:\w+\.)+\w+)`", architecture)):
        parts = name.split(".")
        modules = [ROOT.joinpath("captioner", *parts[:length]) for length in range(1, len(parts) + 1)]
        if not modules[0].is_dir() or parts[-1] in ("json", "png"):
            continue  # a file such as metrics.json, or a name outside of the package
        deepest = [path for path in modules if path.is_dir() or path.with_suffix(".py").is_file()]
        assert len(deepest) >= min(2, len(parts)), f"ARCHITECTURE.md names {name}, which is not there"

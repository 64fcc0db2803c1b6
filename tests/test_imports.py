"""The rows of the architecture: what may import what."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import captioner

ROOT = Path(captioner.__file__).parent

ROWS = {
    "config": 1,
    "text": 1,
    "errors": 1,
    "system": 1,
    "metrics": 1,
    "data": 2,
    "photos": 2,
    "model_files": 2,
    "layers": 2,
    "decoding": 2,
    "scratch": 2,
    "models": 3,
    "training": 4,
    "runtime": 4,
    "export": 4,
    "pictures": 4,
    "plots": 4,
    "encoder_network": 4,
    "library": 5,
    "calibrate": 5,
    "trainer": 5,
    "serve": 5,
    "bulk": 5,
    "cli": 6,
    "__main__": 7,
}
MODULES = sorted(
    ".".join(("captioner", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
)
HEAVY = {"tensorflow", "keras", "jax", "torch", "matplotlib", "nltk", "pandas"}
LIGHT = [
    module
    for module in MODULES
    if module == "captioner"
    or (ROWS[module.split(".")[1]] <= 2 and not module.startswith("captioner.layers"))
    or module.startswith("captioner.runtime")
]


@cache
def imports(module: str) -> frozenset[str]:
    """Every module that `module` imports anywhere in it, functions included."""
    path = ROOT.joinpath(*module.split(".")[1:])
    tree = ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & set(MODULES)
            found |= submodules or {node.module}
    return frozenset(found)


def ours(module: str) -> set[str]:
    return {name for name in imports(module) if name.split(".")[0] == "captioner" and name != "captioner"}


def test_the_parser_sees_what_is_there():
    assert "captioner.models.captioner" in MODULES
    assert "captioner.layers.decoder" in imports("captioner.models.captioner")
    assert "keras" in imports("captioner.layers.cells")
    assert "nltk.tokenize.treebank" in imports("captioner.text")
    assert {"captioner.config", "captioner.text", "captioner.metrics.bleu", "captioner.data.store"} <= set(LIGHT)


@pytest.mark.parametrize("module", [module for module in MODULES if module != "captioner"])
def test_a_module_imports_from_its_row_or_above(module):
    part = module.split(".")[1]
    below = {name for name, row in ROWS.items() if row > ROWS[part]}
    if part == "runtime":  # it predicts without TensorFlow
        below |= {"layers", "models", "training"}
    wrong = {name for name in ours(module) if name.split(".")[1] in below}
    assert not wrong, f"{module} of row {ROWS[part]} imports {sorted(wrong)}"


def test_no_circles():
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"a circle: {' -> '.join((*trail, module))}"
        if module not in done:
            for each in sorted(ours(module)):
                visit(each, (*trail, module))
            done.add(module)

    for module in MODULES:
        visit(module, ())


@pytest.mark.parametrize("module", [name for name in MODULES if name.split(".")[1:2] in (["layers"], ["models"])])
def test_networks_use_keras_alone(module):
    libraries = {name.split(".")[0] for name in imports(module)}
    assert not libraries & {"tensorflow", "jax", "torch"}


def test_rows_1_and_2_and_the_runtime_load_neither_tensorflow_nor_keras():
    code = f"""
import importlib, sys
for name in {LIGHT}:
    importlib.import_module(name)
print(sorted({{name.split(".")[0] for name in sys.modules}} & {HEAVY}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("command", ["predict", "serve", "bulk", "models"])
def test_commands_set_the_threads_of_numpy_before_they_import_it(command):
    code = (
        f"import sys; from captioner.cli.{command} import make_parser; make_parser('x'); print('numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def names_in(module: str) -> set[str]:
    """What can be imported from a module: what it defines or imports itself, and the modules inside it."""
    path = ROOT.joinpath(*module.split(".")[1:])
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    found = {name.rpartition(".")[2] for name in MODULES if name.rpartition(".")[0] == module}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        for each in ast.walk(node):
            if isinstance(each, ast.FunctionDef | ast.ClassDef):
                found.add(each.name)
            elif isinstance(each, ast.ImportFrom | ast.Import):
                found |= {alias.asname or alias.name for alias in each.names}
            elif isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
                found.add(each.id)
    return found


SCRIPTS = [
    path for name in ("benchmarks", "docs/figures", "release") for path in sorted((ROOT.parent / name).glob("*.py"))
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_what_no_other_test_runs_imports_what_there_is(script):
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "captioner":
            missing = {alias.name for alias in node.names} - names_in(node.module)
            assert not missing, f"{script.name} imports {sorted(missing)} from {node.module}"

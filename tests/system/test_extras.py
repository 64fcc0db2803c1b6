"""What the base and each extra bring, and that all which is imported is declared."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import captioner
from captioner.cli.main import main
from captioner.errors import CaptionerError
from captioner.system import extras
from captioner.system.extras import EXTRAS, explain, require

PACKAGE = Path(captioner.__file__).parent
ROOT = PACKAGE.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

MODULES = {"pillow": "PIL", "ray": "ray", "mkdocs-material": "material", "fonttools": "fontTools"}
"""Of packages whose module is not called like them."""

NO_EXTRA = {"PIL", "numpy", "ai_edge_litert", "threadpoolctl", "tqdm", "h5py"}


def declared(extra: str) -> dict[str, Requirement]:
    """What an extra asks for, those that it includes too, by module."""
    found: dict[str, Requirement] = {}
    for line in PROJECT["optional-dependencies"][extra]:
        requirement = Requirement(line)
        if requirement.name == "captioner":
            for other in requirement.extras:
                found |= declared(other)
        else:
            found[MODULES.get(requirement.name, requirement.name.replace("-", "_"))] = requirement
    return found


def pins(name: str) -> dict[str, set[str]]:
    """The versions that a file of requirements, or of constraints, names, with the files that it reads."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / name).read_text().splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("-r "):
            found |= pins(text.removeprefix("-r "))
        elif text and not text.startswith("-"):
            requirement = Requirement(text)
            found.setdefault(canonicalize_name(requirement.name), set()).add(str(requirement.specifier))
    return found


def imported() -> set[str]:
    """The packages that any module imports, at its top or in a function, but for Python's own and ours."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add((node.module or "").partition(".")[0])
    return found - {"captioner"} - set(sys.stdlib_module_names)


def test_all_that_is_imported_is_declared():
    base = {
        MODULES.get(name, name.replace("-", "_"))
        for name in (Requirement(each).name for each in PROJECT["dependencies"])
    }
    assert base == NO_EXTRA
    known = set().union(*EXTRAS.values())
    assert imported() - base - known == set()


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_brings_the_modules_that_messages_name_it_for(extra):
    brought = set(declared(extra))
    if extra == "notebook":  # whose code trains
        brought -= set(declared("train"))
    assert set(EXTRAS[extra]) == brought - NO_EXTRA


def test_all_is_all_of_them():
    assert set(PROJECT["optional-dependencies"]) == {*EXTRAS, "all"}
    assert set(declared("all")) == set().union(*(declared(extra) for extra in EXTRAS if extra != "docs"))


def test_tensorflow_is_left_out_where_there_is_none():
    for extra in ("train", "export"):
        assert not declared(extra)["tensorflow"].marker.evaluate({"python_version": "3.14"})
        assert declared(extra)["tensorflow"].marker.evaluate({"python_version": "3.13"})


FILES = sorted(path.name for path in ROOT.glob("requirements*.txt"))


@pytest.mark.parametrize("name", FILES)
def test_requirements_and_constraints_name_one_version(name):
    constraints = pins("constraints.txt")
    for package, versions in pins(name).items():
        assert versions == constraints[package], package
        assert all(re.fullmatch(r"==[\w.]+", each) for each in versions), package


@pytest.mark.parametrize("name", FILES)
def test_every_installation_is_constrained(name):
    text = (ROOT / name).read_text()
    assert re.search(r"^(-c constraints\.txt|-r requirements[-\w]*\.txt)$", text, re.MULTILINE)


def test_the_pins_lie_in_the_bounds_of_the_package():
    asked = {each.name: each for each in map(Requirement, PROJECT["dependencies"])}
    for extra in EXTRAS:
        asked |= {each.name: each for each in declared(extra).values()}
    constraints = pins("constraints.txt")
    for name, requirement in asked.items():
        if name in constraints:  # of tensorboard nothing is pinned
            assert all(requirement.specifier.contains(each.removeprefix("==")) for each in constraints[name]), name


def test_the_base_is_part_of_what_trains():
    assert set(pins("requirements-predict.txt")) == {
        each.replace("_", "-").replace("PIL", "pillow") for each in NO_EXTRA
    }
    text = (ROOT / "requirements.txt").read_text()
    assert all(
        re.search(rf"^{name}==", text, re.MULTILINE) for name in ("tensorflow", "keras", "pillow", "nltk", "pandas")
    )


def test_the_constraints_are_those_of_what_is_installed():
    made = subprocess.run(
        [sys.executable, ROOT / ".ci" / "constraints.py"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    kept = (ROOT / "constraints.txt").read_text().splitlines()
    assert made[0] == kept[0]
    assert {line.partition("==")[0] for line in made} <= {line.partition("==")[0] for line in kept}
    light = ("protobuf", "flatbuffers", "ml-dtypes", "typing-extensions")
    assert all(any(line.startswith(f"{name}==") for line in kept) for name in light)


def test_what_is_there_is_not_asked_for():
    require("plots", "this")
    require("train", "this", "numpy")


@pytest.mark.parametrize(
    ("extra", "missing", "rest"),
    [
        (
            "train",
            "tensorflow",
            "TensorFlow, {}pip install -r requirements.txt, or: pip install '.[train]', in Captioner's folder",
        ),
        ("plots", "matplotlib", "matplotlib, {}pip install '.[plots]', in Captioner's folder"),
    ],
)
def test_what_is_missing_is_named_with_what_brings_it(monkeypatch, extra, missing, rest):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(CaptionerError) as error:
        require(extra, "training")
    assert str(error.value) == "training needs " + rest.format("which is not installed; install it with: ")


def test_where_there_is_no_tensorflow_another_python_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.setattr(extras.sys, "version_info", (3, 14, 1))
    with pytest.raises(
        CaptionerError, match=r"none for Python 3\.14; use Python 3\.11 to 3\.13, with the extra 'train'$"
    ):
        require("train", "training")


def test_an_import_that_fails_is_explained_only_where_an_extra_would_help(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert "'.[train]'" in explain(ModuleNotFoundError("No module", name="pandas.io"))
    assert explain(ModuleNotFoundError("No module", name="keras.nothing")) is None  # which is there, but broken
    assert explain(ModuleNotFoundError("No module", name="somebody_s")) is None
    assert explain(ImportError("no name")) is None


@pytest.mark.parametrize(
    ("missing", "arguments", "message"),
    [
        ("tensorflow", ["train"], "training needs TensorFlow"),
        ("pandas", ["train", "--task", "char-lm"], "training needs pandas"),
        ("matplotlib", ["train", "recipes/best.toml"], "training needs matplotlib"),
        ("keras", ["evaluate", "--model", "compact", "--split", "dev"], "evaluate needs Keras"),
        ("tensorflow", ["predict", "photos/camera.jpg", "--backend", "keras"], "the backend keras needs TensorFlow"),
        ("tensorflow", ["export", "--model", "compact", "--output", "OUT"], "--format savedmodel needs TensorFlow"),
        (
            "tf2onnx",
            ["export", "--model=compact", "--format=onnx", "--output", "OUT"],
            "an export to ONNX needs tf2onnx",
        ),
    ],
)
def test_every_entrance_says_what_to_install(monkeypatch, capsys, tmp_path, missing, arguments, message):
    for name in ("CAPTIONER_DATA", "CAPTIONER_ENCODER_WEIGHTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.chdir(ROOT)
    assert main([str(tmp_path / "out") if each == "OUT" else each for each in arguments]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = [line for line in err.splitlines() if "captioning with" not in line]
    assert line.startswith(f"captioner: {message}, which is not installed; install it with: pip install ")
    assert not (tmp_path / "out").exists()


def test_a_missing_package_that_nobody_looked_for_is_no_traceback(monkeypatch, capsys):
    from captioner.cli import models

    def run(arguments):
        import pyarrow  # noqa: F401

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr(models, "run", run)
    assert main(["models"]) == 1
    assert capsys.readouterr().err.startswith("captioner: this command needs PyArrow, which is not installed")


def test_the_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(CaptionerError, match=r"captioner\.layers needs Keras, .*'\.\[train\]'"):
        captioner.__getattr__("layers")  # an attribute, once it was imported
    with pytest.raises(CaptionerError, match=r"training needs Keras, .*'\.\[train\]'"):
        captioner.train("photos", "model")

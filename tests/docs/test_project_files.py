"""The files for hosts and contributors: they parse, and name commands, files and versions that exist."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml

from captioner.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def load(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.fixture
def jobs() -> dict[str, dict]:
    return load(GITHUB / "workflows" / "tests.yml")["jobs"]


def commands(job: dict) -> list[list[str]]:
    return [shlex.split(step["run"]) for step in job["steps"] if "run" in step]


def test_the_workflow_predicts_on_all_systems_and_trains_on_linux(jobs):
    matrix = jobs["predict"]["strategy"]["matrix"]
    assert {each.partition("-")[0] for each in matrix["os"]} == {"ubuntu", "macos", "windows"}
    assert matrix["python"] == jobs["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert jobs["test"]["runs-on"] == "ubuntu-latest"
    assert ["make", "test", "PYTHON=python"] in commands(jobs["test"])


def test_the_commands_of_the_workflow_exist(jobs):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for words in (words for job in jobs.values() for words in commands(job)):
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), words
        elif words[0] == "captioner":
            assert words[1] in COMMANDS, words
        for name in (each for each in words if each.endswith((".txt", ".py", ".jpg"))):
            assert (ROOT / name).is_file(), words


def test_classifiers_name_the_pythons_of_the_workflow(jobs):
    named = {each.rpartition(" ")[2] for each in PROJECT["classifiers"] if "Python :: 3." in each}
    assert set(jobs["test"]["strategy"]["matrix"]["python"]) <= named
    assert PROJECT["requires-python"] == ">=3.11"


def test_hooks_download_nothing_and_their_patterns_compile():
    (repo,) = load(ROOT / ".pre-commit-config.yaml")["repos"]
    assert repo["repo"] == "local"
    for hook in repo["hooks"]:
        assert hook["language"] in ("system", "pygrep", "fail")
        patterns = [hook.get("files", ""), hook.get("exclude", "")]
        for pattern in patterns + [hook["entry"]] * (hook["language"] == "pygrep"):
            re.compile(pattern)


def test_every_form_asks_for_something_and_no_field_twice():
    forms = [path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml"]
    assert len(forms) == 2
    for form in map(load, forms):
        assert form["name"]
        assert form["description"]
        fields = [field["id"] for field in form["body"]]
        assert len(fields) == len(set(fields))
        assert any(field.get("validations", {}).get("required") for field in form["body"])


def test_the_citation_has_what_its_format_requires():
    citation = load(ROOT / "CITATION.cff")
    assert {"cff-version", "message", "title", "authors", "version", "license"} <= set(citation)
    assert citation["license"] == PROJECT["license"]


def test_the_first_section_of_the_changelog_is_of_what_is_not_released_or_of_this_version():
    from captioner import __version__

    first = re.search(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)[1]
    assert first == "Unreleased" or first.startswith(f"{__version__} ")

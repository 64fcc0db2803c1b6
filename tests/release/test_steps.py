"""Steps run in order, once, and again when a file has changed; the plan of the release fits together."""

import sys

import pytest

from captioner.errors import CaptionerError
from release import models
from release.claims import Document
from release.models import ROOT, plan, see_to
from release.steps import Step, run_steps


@pytest.fixture
def step(tmp_path):
    """A function that makes a step: it copies a file in capitals."""

    def make(name: str, source: str, target: str, status: int = 0) -> Step:
        code = (
            f"from pathlib import Path; Path({target!r}).write_text(Path({source!r}).read_text().upper()); "
            f"raise SystemExit({status})"
        )
        return Step(name, (sys.executable, "-c", code), (tmp_path / source,), (tmp_path / target,))

    return make


def told(capsys) -> list[str]:
    lines = [line.partition(" (")[0] for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if ": python " not in line]


def test_steps_run_again_only_after_a_change(tmp_path, step, capsys):
    (tmp_path / "a").write_text("one")
    steps = [step("first", "a", "b"), step("second", "b", "c")]

    def run(**options) -> list[str]:
        run_steps(steps, tmp_path, tmp_path / "build" / "stamps.json", **options)
        return told(capsys)

    assert run() == ["[1/2] first: changed b", "[2/2] second: changed c"]
    assert run() == ["[1/2] first: up to date", "[2/2] second: up to date"]
    (tmp_path / "c").write_text("by hand")
    assert run() == ["[1/2] first: up to date", "[2/2] second: changed c"]
    (tmp_path / "a").write_text("two")
    assert run() == ["[1/2] first: changed b", "[2/2] second: changed c"]
    assert (tmp_path / "c").read_text() == "TWO"
    assert run(again=True) == ["[1/2] first: changed nothing", "[2/2] second: changed nothing"]


def test_a_step_that_fails_ends_the_run_and_is_run_again(tmp_path, step, capsys):
    (tmp_path / "a").write_text("one")
    stamps = tmp_path / "stamps.json"
    with pytest.raises(CaptionerError, match="second ended with status 3"):
        run_steps([step("first", "a", "b"), step("second", "b", "c", 3), step("third", "c", "d")], tmp_path, stamps)
    assert told(capsys) == ["[1/3] first: changed b"]
    assert not (tmp_path / "d").exists()
    run_steps([step("first", "a", "b"), step("second", "b", "c"), step("third", "c", "d")], tmp_path, stamps)
    assert told(capsys) == ["[1/3] first: up to date", "[2/3] second: changed nothing", "[3/3] third: changed d"]


def test_a_step_does_not_see_a_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("WEIGHTS", "file")
    code = "import os; from pathlib import Path; Path('a').write_text(os.environ.get('WEIGHTS', 'none'))"
    step = Step("look", (sys.executable, "-c", code), (), (tmp_path / "a",), without="WEIGHTS")
    run_steps([step], tmp_path, tmp_path / "stamps.json")
    assert (tmp_path / "a").read_text() == "none"
    assert step.typed.startswith("env -u WEIGHTS python -c ")


def test_damaged_stamps_count_as_none(tmp_path, step, capsys):
    (tmp_path / "a").write_text("one")
    (tmp_path / "stamps.json").write_text("[")
    run_steps([step("first", "a", "b")], tmp_path, tmp_path / "stamps.json")
    assert told(capsys) == ["[1/1] first: changed b"]


def test_the_plan_has_each_file_made_before_it_is_read():
    steps = plan(None)
    names = [step.name for step in steps]
    assert len(set(names)) == len(names)
    for number, step in enumerate(steps):
        for later in steps[number + 1 :]:
            assert not set(step.reads) & set(later.writes), f"{step.name} reads what {later.name} makes"
    models = {name: [each for each in names if each.endswith(name)] for name in ("flickr8k", "compact", "char-lm")}
    assert models["compact"] == ["int8-compact", "calibrate-compact", "measure-compact", "card-compact"]
    assert models["char-lm"] == ["measure-char-lm", "card-char-lm"]


def test_the_plan_names_files_that_are_there():
    for step in plan(None):
        for path in (*step.reads, *step.writes):
            assert path.exists() or "build" in path.parts, f"{step.name}: {path.relative_to(ROOT)}"


def test_documents_are_put_right_and_the_rest_is_listed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(models, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("Its CIDEr-D is 64.7.\nThat is a lot.\n")
    documents = [Document(page, ["Its CIDEr-D is {cider:.1f}"], ["That is a lot"])]

    assert see_to(documents, {"cider": 66.6}, write=False) == 1
    assert capsys.readouterr().out.splitlines() == [
        "page.md:1: '64.7' should be '66.6'",
        "page.md:2: read again: That is a lot",
        "1 values or claims differ",
    ]
    assert "64.7" in page.read_text()
    assert see_to(documents, {"cider": 66.6}, write=True) == 1
    assert "page.md:1: '64.7' is now '66.6'" in capsys.readouterr().out
    assert page.read_text() == "Its CIDEr-D is 66.6.\nThat is a lot.\n"
    assert see_to(documents, {"cider": 66.6}, write=True) == 0
    assert capsys.readouterr().out == "all documents agree with the models\n"
    page.write_text("It is good.\n")
    assert see_to(documents, {"cider": 66.6}, write=True) == 1
    assert "page.md: not found: 'Its CIDEr-D is {cider:.1f}'" in capsys.readouterr().out


def test_documents_are_compared_once_all_is_measured(monkeypatch, capsys):
    monkeypatch.setattr(models, "facts_of", lambda name: ROOT / "build" / "nothing" / name)
    monkeypatch.setattr(models, "run_steps", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["models", "page", "--wheels", "wheels"])
    with pytest.raises(SystemExit) as stopped:
        models.main()
    assert stopped.value.code == 0
    assert "not been measured here: flickr8k, compact, char-lm, errors" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["models", "--check"])
    with pytest.raises(
        SystemExit, match=r"flickr8k has not been measured here; run python -m release\.models measure-fl"
    ):
        models.main()


def test_a_packages_pictures_are_missed(monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(models, "facts_of", lambda name: ROOT / "build" / "nothing" / name)
    monkeypatch.setattr(models, "run_steps", lambda steps, *_: ran.extend(step.name for step in steps))
    monkeypatch.setattr(models, "has_pictures", lambda: False)
    monkeypatch.setattr(sys, "argv", ["models", "confidence", "page"])
    with pytest.raises(SystemExit) as stopped:
        models.main()
    assert (stopped.value.code, ran) == (1, ["page"])
    assert "left: confidence needs scikit-image and scikit-learn; see --wheels" in capsys.readouterr().out


def test_an_unknown_step_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["models", "coffee"])
    with pytest.raises(SystemExit) as stopped:
        models.main()
    assert stopped.value.code == 2
    assert "no step is called coffee; there are int8-flickr8k" in capsys.readouterr().err

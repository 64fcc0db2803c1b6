"""Models by name, and the list of them."""

import json
import shutil
from pathlib import Path

import pytest

from captioner import library
from captioner.cli.main import main
from captioner.cli.predict import make_parser
from captioner.config.recipe import RunSettings
from captioner.model_files.shipped import SHIPPED, model_directory, shipped_model
from captioner.runtime.char_lm import LanguageModel
from captioner.training.settings import check_runs, with_models

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_name_stands_for_the_directory(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert model_directory(name) == shipped_model(name)
    monkeypatch.chdir(ROOT)
    assert model_directory(name) == Path("saved_models", name)
    assert make_parser("predict").parse_args(["--model", name]).model == Path("saved_models", name)


def test_a_directory_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("compact").touch()
    assert model_directory("compact") == shipped_model("compact")
    Path("compact").unlink()
    Path("compact").mkdir()
    assert model_directory("compact") == Path("compact")
    assert model_directory("compact/") == Path("compact")


@pytest.mark.parametrize("named", ["other", "./compact", "compact/config.json", Path("x/compact"), ""])
def test_what_is_no_name_is_a_path(named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert model_directory(named) == Path(named)


def test_a_training_names_the_directory(monkeypatch):
    monkeypatch.chdir(ROOT)
    given = {"init_from": "compact", "teachers": ("flickr8k", "mine"), "epochs": 2}
    run = with_models(RunSettings(given, frozenset(given), "best.toml"))
    assert run.values == {
        "init_from": "saved_models/compact", "teachers": ("saved_models/flickr8k", "mine"), "epochs": 2
    }  # fmt: skip
    assert (run.given, run.where) == (frozenset(given), "best.toml")
    plain = RunSettings({"epochs": 2}, frozenset())
    assert with_models(plain) == plain


def test_trainings_that_start_from_shipped_models_are_checked(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    run = RunSettings({"init_from": "compact", "epochs": 1}, frozenset(["init_from"]))
    check_runs([with_models(run)])
    with pytest.raises(library.CaptionerError, match="compact is no model directory"):
        check_runs([run])


def test_the_library_takes_names(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert LanguageModel.load("char-lm").suggest("To be or n", 1)
    assert library.Captioner.load("compact")(ROOT / "photos" / "camera.jpg").text.startswith("a man ")


@pytest.mark.parametrize(
    "argv",
    [
        ["predict", "photos/camera.jpg", "--model", "compact"],
        ["predict", "--prompt", "R", "--model", "char-lm", "--length", "3"],
    ],
)
def test_commands_take_names(argv, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert main(argv) == 0
    assert capsys.readouterr().out


def listed(capsys) -> dict[str, list[str]]:
    status = main(["models"])
    out, err = capsys.readouterr()
    assert (status, err) == (0, "")
    heading, *lines = out.splitlines()
    starts = [heading.index(name) for name in heading.split()]
    assert heading.split() == ["model", "kind", "size", "scores", "needs"]
    rows = [[line[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)] for line in lines]
    return {name: rest for name, *rest in rows}


@pytest.fixture
def nowhere(monkeypatch, tmp_path, no_inception) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_list_tells_kind_size_scores_and_needs(nowhere, capsys):
    rows = listed(capsys)
    assert list(rows)[:3] == list(SHIPPED)
    metrics = json.loads((shipped_model("compact") / "metrics.json").read_text())
    scores = f"BLEU-4 {metrics['bleu4']:.1f}, CIDEr-D {metrics['cider']:.1f} on dev"
    size = sum(path.stat().st_size for path in shipped_model("compact").iterdir()) / 1e6
    assert rows["compact"] == ["captions", f"{size:.1f} MB", scores, "nothing"]
    assert rows["flickr8k"][3] == "InceptionV3's weights, 87 MB: python -m captioner download encoder"
    assert rows["char-lm"][0] == "characters"
    metrics = json.loads((shipped_model("char-lm") / "metrics.json").read_text())
    assert rows["char-lm"][2] == f"{metrics['bits_per_char']:.2f} bits per character"


def test_with_the_weights_nothing_is_needed(nowhere, capsys, request):
    request.getfixturevalue("inception")
    assert listed(capsys)["flickr8k"][3] == "nothing"


def test_own_models_are_listed_where_train_puts_them(nowhere, capsys):
    mine = nowhere / "saved_models" / "mine"
    shutil.copytree(shipped_model("char-lm"), mine)
    (mine / "metrics.json").write_text(json.dumps({"bits_per_char": 3.0, "finished": False}))
    shutil.copytree(shipped_model("compact"), nowhere / "saved_models" / "other")
    (nowhere / "saved_models" / "other" / "metrics.json").unlink()
    (nowhere / "saved_models" / "empty").mkdir()
    rows = listed(capsys)
    assert rows["saved_models/mine"][2:] == ["3.00 bits per character, unfinished", "nothing"]
    assert rows["saved_models/other"][2:] == ["unknown", "nothing"]
    assert "saved_models/empty" not in rows


def test_a_broken_model_is_named_and_the_others_are_listed(nowhere, capsys):
    broken = nowhere / "saved_models" / "broken"
    broken.mkdir(parents=True)
    (broken / "config.json").write_text("{")
    assert main(["models"]) == 1
    out, err = capsys.readouterr()
    assert "broken" in err
    assert out.count("\n") >= 4

import dataclasses
import json
import re
from pathlib import Path

import pytest

from captioner.config.groups import CAPTION
from captioner.config.model import CharModelConfig
from captioner.config.options import given
from captioner.config.recipe import earlier_settings, plan_runs, read_recipe, unmet_need
from captioner.config.serialization import check_value
from captioner.config.training import CharTrainingConfig, task_settings
from captioner.errors import CaptionerError, UsageError
from captioner.training.settings import check_runs, configure

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))


@pytest.fixture
def recipe(tmp_path):
    """Write a recipe and return its file."""

    def write(text: str) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_recipe_of_one_run(recipe):
    path = recipe('cell = "gru"\nlearning_rate = 1\nteachers = ["a", "b"]\nfine_tune_epochs = 2\n')
    (run,) = plan_runs(read_recipe(path), {"epochs": 3})
    assert run.values == {
        "cell": "gru",
        "learning_rate": 1.0,
        "teachers": ("a", "b"),
        "fine_tune_epochs": 2,
        "epochs": 3,
    }
    assert type(run.values["learning_rate"]) is float
    assert run.given == {"epochs"}
    assert run.where == str(path)
    assert run.task == "caption"
    assert run.teachers == (Path("a"), Path("b"))


def test_runs_share_what_stands_above_them_and_flags_come_first(recipe):
    path = recipe("""
seed = 1
epochs = 0
fine_tune_epochs = 5
fine_tune_rate = 0.1
[[run]]
output = "one"
[[run]]
output = "two"
seed = 2
fine_tune_epochs = 0
init_from = "one"
""")
    one, two = plan_runs(read_recipe(path), {})
    assert one.values == {"seed": 1, "epochs": 0, "fine_tune_epochs": 5, "fine_tune_rate": 0.1, "output": "one"}
    assert two.values == {"seed": 2, "epochs": 0, "fine_tune_epochs": 0, "output": "two", "init_from": "one"}
    assert [run.where for run in (one, two)] == [f"{path}: run 1", f"{path}: run 2"]
    one, two = plan_runs(read_recipe(path), {"seed": 7, "fine_tune_epochs": 1})
    assert [run.values["seed"] for run in (one, two)] == [7, 7]
    assert two.values["fine_tune_rate"] == 0.1  # it has an effect again


def test_a_recipe_is_held_to_what_has_an_effect_and_may_lose_a_stage_by_an_option(recipe):
    path = recipe("fine_tune_epochs = 2\nfine_tune_rate = 0.1\n")
    (run,) = plan_runs(read_recipe(path), {})
    assert run.given == {"fine_tune_epochs", "fine_tune_rate"}
    (run,) = plan_runs(read_recipe(path), {"fine_tune_epochs": 0})
    assert configure(run)[0].encoder.fine_tune_after == ""
    (run,) = plan_runs(read_recipe(path), {"network": "compact"})
    with pytest.raises(UsageError, match="--fine-tune-epochs, --fine-tune-rate: only for encoders of keras"):
        configure(run)
    (run,) = plan_runs(read_recipe(recipe("fine_tune_rate = 0.1\n")), {})
    with pytest.raises(UsageError, match="--fine-tune-rate: no effect without --fine-tune-epochs"):
        configure(run)


def test_without_a_recipe_flags_are_one_run():
    (run,) = plan_runs(None, {"seed": 7})
    assert (run.values, run.given, run.where) == ({"seed": 7}, {"seed"}, "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fine_tune_epoch = 3", ": 'fine_tune_epoch' is no setting of --task caption; did you mean fine_tune_epochs"),
        ("fine-tune-epochs = 3", "'fine-tune-epochs' is no setting of --task caption; did you mean fine_tune_epochs"),
        ('encoder = "compact"', "did you mean network?"),
        ('teacher = "a"', "did you mean teachers?"),
        ("xyzzy = 3", "'xyzzy' is no setting of --task caption; train.py --help-all lists all"),
        ("layers = 3", "'layers' is no setting of --task caption; it is one of --task char-lm"),
        ('data = "photos"', "'data' is no setting of --task caption; name the data on the command line, with --data"),
        ("vocabulary_size = 9", "'vocabulary_size' is no setting"),
        ("beam_width = 9", "'beam_width' is no setting"),
        ('task = "char-lm"\nviews = 3', "'views' is no setting of --task char-lm; it is one of --task caption"),
        ('task = "char-lm"\nepochs = 0', "epochs: expected a value from 1 to 100000, found 0"),
        ('task = "detect"', "task: expected one of caption, char-lm, found 'detect'"),
        ("task = [1]", "task: expected str, found list '[1]'"),
        ("seed = 1.5", "seed: expected int, found float '1.5'"),
        ("seed = true", "seed: expected int, found bool 'True'"),
        ("seed = -1", "seed: expected a value from 0 to 2147483647, found -1"),
        ("learning_rate = nan", "learning_rate: expected a value from 0.0 to 100.0, found nan"),
        ("learning_rate = inf", "learning_rate: expected a value from 0.0 to 100.0, found inf"),
        ('cell = "transformer"', "cell: expected one of rnn, gru, lstm, found 'transformer'"),
        ('teachers = "a"', "teachers: expected a list of strings, found 'a'"),
        ("teachers = [1]", "teachers: expected a list of strings, found '[1]'"),
        ("[seed]\na = 1", "seed: expected int, found dict"),
        ("run = 3", "run: expected tables [[run]], found '3'"),
        ("run = []", "run: expected tables [[run]], found '[]'"),
        ("[run]\nseed = 1", "run: expected tables [[run]]"),
        ("seed = 1\n[[run]]\n[[run]]\nseed = -1", ": run 2: seed: expected a value from"),
        ("sead = 1\n[[run]]\n[[run]]", ": run 1: 'sead' is no setting of --task caption; did you mean seed?"),
        ("seed = ", "is not valid TOML in UTF-8: Invalid value (at end of document)"),
        ("seed = 1\nseed = 2", "is not valid TOML in UTF-8: Cannot overwrite a value"),
        ("seed = " + "[" * 100_000, "is not valid TOML in UTF-8: it is nested too deep"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_key(recipe, text, message):
    path = recipe(text)
    with pytest.raises(CaptionerError, match=re.escape(message)) as caught:
        read_recipe(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\xff\xfe", "is not valid TOML in UTF-8"), (b"#" * (1 << 20) + b"\n", "has more than 1048576 bytes")],
)
def test_a_file_that_is_no_recipe_is_refused(tmp_path, content, message):
    (tmp_path / "mine.toml").write_bytes(content)
    with pytest.raises(CaptionerError, match=message):
        read_recipe(tmp_path / "mine.toml")


def test_a_missing_recipe_is_named(tmp_path):
    with pytest.raises(CaptionerError, match=r"cannot read the recipe .*none\.toml: No such file.*recipes/best\.toml"):
        read_recipe(tmp_path / "none.toml")
    with pytest.raises(CaptionerError, match=r"cannot read the recipe .*: Is a directory"):
        read_recipe(tmp_path)


def test_several_runs_each_have_a_directory(recipe):
    path = recipe('[[run]]\noutput = "a"\n[[run]]\nseed = 1\n')
    with pytest.raises(CaptionerError, match=r"run 2: output: expected a directory, since there are several runs"):
        plan_runs(read_recipe(path), {})
    path = recipe('[[run]]\noutput = "a"\n[[run]]\noutput = "./a"\n')
    with pytest.raises(CaptionerError, match=r"run 2: output: .*run 1 writes to a too; name another"):
        plan_runs(read_recipe(path), {})
    with pytest.raises(UsageError, match=r"--output: .* has 2 runs, each with its own; leave it out"):
        plan_runs(read_recipe(path), {"output": "b"})


def test_what_a_setting_needs():
    assert unmet_need("fine_tune_rate", {}) == "fine_tune_epochs"
    assert unmet_need("fine_tune_rate", {"fine_tune_epochs": 0}) == "fine_tune_epochs"
    assert unmet_need("fine_tune_rate", {"fine_tune_epochs": 1}) is None
    assert unmet_need("distillation", {"teachers": ()}) == "teachers"
    assert unmet_need("learning_rate", {}) is None
    assert unmet_need("learning_rate", {"epochs": 0}) == "epochs"
    assert unmet_need("seed", {}) is None


@pytest.mark.parametrize("name", ["flickr8k", "compact"])
def test_settings_that_a_shipped_captioner_recorded_are_given_back(name):
    path = ROOT / "saved_models" / name / "metrics.json"
    (run,) = plan_runs(read_recipe(path), {"seed": 5})
    recorded = json.loads(path.read_text())["settings"]
    assert run.given == {"seed"}
    assert run.values["seed"] == 5
    assert run.values.get("self_critical_temperature") == (0.5 if name == "flickr8k" else None)
    for key in ("learning_rate", "dropout", "min_count", "distillation", "network", "epochs"):
        assert run.values[key] == recorded[key]
    expected = recorded.get("teachers") or [recorded["teacher"]] if "teacher" in recorded else []
    assert [str(each) for each in run.teachers] == expected


def test_the_shipped_captioner_of_a_recipe_would_train_as_recorded(tmp_path, monkeypatch):
    """With the directory that it started from in place, whose sizes stand in `config.json` of the shipped one."""
    recorded = json.loads((ROOT / "saved_models/flickr8k/metrics.json").read_text())["settings"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "saved_models").mkdir()
    (tmp_path / "saved_models" / "rewarded").symlink_to(ROOT / "saved_models" / "flickr8k")
    (run,) = plan_runs(read_recipe(ROOT / "saved_models/flickr8k/metrics.json"), {})
    model, training = configure(run)
    for part in (model.encoder, model.decoder, training):
        for key, value in dataclasses.asdict(part).items():
            assert recorded.get(key, value) == value, key


def test_the_shipped_character_model_would_train_as_recorded():
    path = ROOT / "saved_models" / "char-lm" / "metrics.json"
    (run,) = plan_runs(read_recipe(path), {})
    assert run.task == "char-lm"
    recorded = json.loads(path.read_text())["settings"]
    again = {
        **dataclasses.asdict(CharModelConfig(**given(run.values, CharModelConfig))),
        **dataclasses.asdict(CharTrainingConfig(**given(run.values, CharTrainingConfig))),
    }
    assert {key: again[key] for key in recorded if key != "text"} == {
        key: value for key, value in recorded.items() if key != "text"
    }


@pytest.mark.parametrize("content", ["[]", "{}", '{"settings": []}', '{"settings": {"sead": 1}}', "{"])
def test_metrics_that_are_no_recipe_are_named(tmp_path, content):
    (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(CaptionerError, match=r"metrics\.json"):
        read_recipe(tmp_path / "metrics.json")


def test_recipes_that_ship():
    assert {path.stem for path in RECIPES} == {"default", "best", "compact", "char_lm"}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_shipped_recipe_can_begin(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    check_runs(plan_runs(read_recipe(path), {}))
    header = path.read_text(encoding="utf-8").partition("\n\n")[0]
    assert f"python train.py recipes/{path.name}" in header
    assert "two cores" in header


@pytest.mark.parametrize("name", ["best", "compact", "char_lm"])
def test_a_recipe_has_the_settings_that_what_ships_has_recorded(name):
    shipped = {"best": "flickr8k", "compact": "compact", "char_lm": "char-lm"}[name]
    run = plan_runs(read_recipe(ROOT / "recipes" / f"{name}.toml"), {})[-1]
    (recorded,) = read_recipe(ROOT / "saved_models" / shipped / "metrics.json").runs
    if name == "compact":
        assert run.values["teachers"] == recorded["teachers"]
    for key, value in run.values.items():
        if key not in ("output", "text", "task", "teachers"):
            assert recorded[key] == value, key


def test_the_plain_recipe_writes_out_the_defaults():
    (run,) = plan_runs(read_recipe(ROOT / "recipes" / "default.toml"), {})
    assert run.values == {name: task_settings(CAPTION)[name].default for name in run.values}


def test_the_last_run_but_one_of_the_best_recipe_made_what_the_shipped_model_starts_from():
    recorded = json.loads((ROOT / "saved_models/flickr8k/metrics.json").read_text())["before"]["settings"]
    *_, rewarded, _ = plan_runs(read_recipe(ROOT / "recipes" / "best.toml"), {})
    recorded |= earlier_settings(recorded)
    for key, value in rewarded.values.items():
        if key not in ("output", "init_from"):
            about = task_settings(CAPTION)[key]
            assert check_value(about, about.type, recorded[key], key) == value, key

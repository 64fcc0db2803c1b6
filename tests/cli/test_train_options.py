"""Each setting is declared once, and everything that a user meets comes from there."""

import argparse
import inspect

import pytest

from captioner import config
from captioner.cli import predict
from captioner.cli.train_options import GROUPS, all_settings, make_parser
from captioner.config.groups import GENERATION, SAMPLING, SEARCH, WORDING
from captioner.config.model import CalibrationConfig, ConsensusConfig, ModelConfig
from captioner.config.options import flags
from captioner.config.setting import settings_of

CLASSES = [
    kind
    for name, kind in inspect.getmembers(config, inspect.isclass)
    if name.endswith("Config") and kind != ModelConfig
]
FIELDS = [(kind, about) for kind in CLASSES for about in settings_of(kind).values()]
OF_PREDICT = {SEARCH, GENERATION, SAMPLING, WORDING}
FITTED = (CalibrationConfig, ConsensusConfig)
"""What nobody sets: a model is fitted to its photos."""

FROM_THE_DATA = {"vocabulary_size", "locations", "channels"}
ON_THE_COMMAND_LINE_ALONE = {
    *("--help", "--help-all", "--data", "--data-format", "--encoder-weights", "--no-resume", "--profile"),
    *("--tensorboard", "--quiet"),
}


def help_of(capsys, parser: argparse.ArgumentParser, option: str) -> str:
    with pytest.raises(SystemExit) as done:
        parser.parse_args([option])
    assert done.value.code == 0
    return " ".join(capsys.readouterr().out.split())


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    return {option for action in parser._actions for option in action.option_strings if option.startswith("--")}


def name_of(case) -> str:
    return case.__name__ if inspect.isclass(case) else case.name


def test_all_classes_are_looked_at():
    names = {kind.__name__ for kind in CLASSES}
    assert names >= {"EncoderConfig", "TrainingConfig", "FineTuningConfig", "CharTrainingConfig", "GenerationConfig"}


@pytest.mark.parametrize(("kind", "about"), FIELDS, ids=name_of)
def test_a_setting_has_help_and_bounds_or_choices(kind, about):
    known = about.metadata
    assert known["help"]
    if about.type in (int, float):
        assert type(about.default) is about.type
        assert known["ge"] <= about.default <= known["le"]
    if "choices" in known:
        assert about.default in known["choices"]
    assert "group" in known or about.name in FROM_THE_DATA or kind in FITTED


def test_options_are_the_settings_and_what_a_command_line_alone_can_say():
    parser = make_parser("train")
    expected = {flags([about.name]) for _, about in FIELDS if about.metadata.get("group") in GROUPS}
    assert options_of(parser) == expected | ON_THE_COMMAND_LINE_ALONE | {"--no-layer-norm"}
    assert {about.metadata["group"] for about in all_settings().values()} == set(GROUPS)


def test_settings_of_a_search_and_of_generation_are_options_of_predict():
    expected = {flags([about.name]) for _, about in FIELDS if about.metadata.get("group") in OF_PREDICT}
    assert len(expected) == 12
    assert expected <= options_of(predict.make_parser("predict"))


def test_the_long_help_tells_of_all_and_the_short_one_of_a_dozen(capsys):
    everything, first = (help_of(capsys, make_parser("train"), option) for option in ("--help-all", "--help"))
    for about in all_settings().values():
        assert f" {flags([about.name])}" in everything
        assert "".join(about.metadata["help"].split()) in "".join(everything.split()), about.name
    for title in GROUPS:
        assert f" {title}: " in everything
    options, _, _ = first.partition("examples:")
    shown = [option for option in options_of(make_parser("train")) if f" {option} " in options]
    assert len(shown) == 14  # a dozen, and both helps
    assert {"--data", "--output", "--epochs", "--limit", "--init-from", "--help-all"} <= set(shown)
    assert "--help-all show all options" in options


@pytest.mark.parametrize("about", all_settings().values(), ids=name_of)
def test_a_setting_that_needs_another_names_one_that_exists(about):
    assert about.metadata.get("needs", "epochs") in all_settings()

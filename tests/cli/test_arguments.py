import argparse
import dataclasses

import pytest

from captioner.cli import evaluate, predict, train
from captioner.cli.arguments import add_min_confidence, add_setting
from captioner.config.decoding import DecodingConfig
from captioner.config.model import DecoderConfig, EncoderConfig
from captioner.config.options import given
from captioner.config.setting import settings_of
from captioner.config.training import TrainingConfig
from captioner.errors import UsageError
from captioner.model_files.shipped import shipped_model


def parsed(config, name, *argv):
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_setting(parser, settings_of(config)[name])
    return given(vars(parser.parse_args(argv)), config)


@pytest.mark.parametrize(
    ("config", "name", "text", "value"),
    [
        (TrainingConfig, "epochs", "3", 3),
        (TrainingConfig, "learning_rate", "1e-4", 1e-4),
        (TrainingConfig, "learning_rate", "2", 2.0),
        (TrainingConfig, "limit", "0", 0),
        (DecodingConfig, "beam_width", "1000", 1000),
        (DecoderConfig, "cell", "lstm", "lstm"),
        (EncoderConfig, "feature_layer", "mixed3", "mixed3"),
    ],
)
def test_a_setting_is_read_as_its_type(config, name, text, value):
    found = parsed(config, name, f"--{name.replace('_', '-')}", text)
    assert found == {name: value}
    assert type(found[name]) is type(value)


@pytest.mark.parametrize(
    ("config", "name", "text", "complaint"),
    [
        (TrainingConfig, "epochs", "-1", "from 0 to 100000, found -1"),
        (TrainingConfig, "epochs", "2.5", "expected int, found '2.5'"),
        (TrainingConfig, "epochs", "", "expected int, found ''"),
        (TrainingConfig, "seed", "-1", "from 0 to 2147483647, found -1"),
        (TrainingConfig, "seed", "2147483648", "from 0 to 2147483647"),
        (TrainingConfig, "learning_rate", "nan", "from 0.0 to 100.0, found nan"),
        (TrainingConfig, "learning_rate", "inf", "from 0.0 to 100.0, found inf"),
        (TrainingConfig, "learning_rate", "fast", "expected float, found 'fast'"),
        (DecodingConfig, "beam_width", "1001", "from 1 to 1000, found 1001"),
        (DecodingConfig, "length_penalty", "-0.1", "from 0.0 to 10.0, found -0.1"),
        (DecoderConfig, "hidden_size", "16385", "from 1 to 16384"),
        (DecoderConfig, "dropout", "1", "from 0.0 to 0.95"),
        (DecoderConfig, "cell", "transformer", "invalid choice: 'transformer'"),
    ],
)
def test_what_is_out_of_bounds_is_refused_with_the_bounds(config, name, text, complaint):
    option = f"--{name.replace('_', '-')}"
    with pytest.raises(argparse.ArgumentError, match=complaint) as caught:
        parsed(config, name, f"{option}={text}")
    assert caught.value.argument_name == option


def test_what_is_not_given_is_left_to_the_configuration():
    assert parsed(TrainingConfig, "epochs") == {}


def test_help_names_the_default(capsys):
    with pytest.raises(SystemExit):
        train.make_parser("train").parse_args(["--help-all"])
    text = " ".join(capsys.readouterr().out.split())
    assert "(default: 512)" in text
    assert "{rnn,gru,lstm}" in text


def test_the_options_of_train():
    options = {option for action in train.make_parser("train")._actions for option in action.option_strings}
    assert options >= {
        *("--task", "--data", "--data-format", "--output", "--init-from", "--encoder-weights", "--feature-layer"),
        *("--cell", "--hidden-size", "--embedding-dim", "--attention-dim", "--min-count", "--max-length", "--epochs"),
        *("--batch-size", "--learning-rate", "--limit", "--seed", "--no-resume"),
    }


def test_the_options_of_predict():
    options = {option for action in predict.make_parser("predict")._actions for option in action.option_strings}
    assert options >= {
        *("--model", "--beam-width", "--length-penalty", "--num-captions", "--format", "--output", "--attention"),
        *("--encoder-weights", "--no-repeat-ngram-size"),
    }


def test_the_options_of_evaluate():
    options = {option for action in evaluate.make_parser("evaluate")._actions for option in action.option_strings}
    assert options >= {
        *("--model", "--data", "--data-format", "--split", "--beam-width", "--length-penalty", "--json"),
        *("--predictions", "--encoder-weights", "--no-repeat-ngram-size"),
    }


@pytest.mark.parametrize("name", ["auto", "flickr8k", "karpathy", "kaggle", "coco", "csv"])
def test_every_data_format_can_be_chosen(name):
    assert train.make_parser("train").parse_args(["--data-format", name]).data_format == name


@pytest.mark.parametrize(
    "argv",
    [
        pytest.param(["--cell", "transformer"], id="choice"),
        pytest.param(["--data-format", "imagenet"], id="format"),
        pytest.param(["--task", "detect"], id="task"),
        pytest.param(["--epochs", "many"], id="number"),
        pytest.param(["recipe.toml", "photo.jpg"], id="positional"),
        pytest.param(["--output"], id="no value"),
    ],
)
def test_wrong_usage_of_train_is_status_2(argv, capsys):
    with pytest.raises(SystemExit) as caught:
        train.make_parser("python train.py").parse_args(argv)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    message, where = err.splitlines()
    assert message.startswith("captioner: ")
    assert argv[-1] in message
    assert where == "See python train.py --help."


@pytest.mark.parametrize("count", ["0", "-1", "101", "two", "1.0", ""])
def test_the_number_of_captions_is_bounded(count, capsys):
    with pytest.raises(SystemExit) as caught:
        predict.make_parser("predict").parse_args(["photo.jpg", f"--num-captions={count}"])
    assert caught.value.code == 2
    assert f"expected a number from 1 to 100, found {count!r}" in capsys.readouterr().err


@pytest.mark.parametrize(("argv", "missing"), [(["--model", "m"], "--split"), (["--split", "dev"], "--model")])
def test_a_model_and_a_split_must_be_named(capsys, argv, missing):
    with pytest.raises(SystemExit) as caught:
        evaluate.make_parser("captioner").parse_args(argv)
    assert caught.value.code == 2
    assert f"required: {missing}" in capsys.readouterr().err


def test_a_photo_or_a_text_must_be_named():
    with pytest.raises(UsageError, match="name a photo or a folder"):
        predict.run(predict.make_parser("predict").parse_args([]))


@pytest.mark.parametrize(
    ("value", "expected"), [(None, "imagenet"), ("", "imagenet"), ("weights.h5", "weights.h5")], ids=repr
)
def test_the_environment_names_the_encoders_weights(monkeypatch, value, expected):
    if value is None:
        monkeypatch.delenv("CAPTIONER_ENCODER_WEIGHTS", raising=False)
    else:
        monkeypatch.setenv("CAPTIONER_ENCODER_WEIGHTS", value)
    for command, argv in ((train, []), (predict, ["a.jpg"]), (evaluate, ["--model", "m", "--split", "dev"])):
        assert command.make_parser("captioner").parse_args(argv).encoder_weights == expected
        parsed = command.make_parser("captioner").parse_args([*argv, "--encoder-weights", "other.h5"])
        assert parsed.encoder_weights == "other.h5"


def test_the_shipped_model_lies_beside_the_package():
    assert shipped_model().parts[-2:] == ("saved_models", "flickr8k")


def test_no_two_configurations_share_a_field_name():
    # `given` looks settings up by name alone
    names = [
        field.name
        for config in (EncoderConfig, DecoderConfig, DecodingConfig, TrainingConfig)
        for field in dataclasses.fields(config)
    ]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("given_text", "value"), [("0", 0.0), ("0.6", 0.6), ("1", 1.0)])
def test_the_least_confidence_is_a_share(given_text, value):
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_min_confidence(parser)
    assert parser.parse_args(["--min-confidence", given_text]).min_confidence == value
    assert parser.parse_args([]).min_confidence is None


@pytest.mark.parametrize("given_text", ["-0.1", "1.01", "60", "nan", "inf", "sure", ""])
def test_another_least_confidence_is_refused(given_text):
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_min_confidence(parser)
    with pytest.raises(argparse.ArgumentError, match=f"from 0 to 1, such as 0.6, found '{given_text}'"):
        parser.parse_args([f"--min-confidence={given_text}"])

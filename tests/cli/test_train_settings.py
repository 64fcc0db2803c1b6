import dataclasses
import re
from pathlib import Path

import pytest

from captioner.cli.train_options import make_parser
from captioner.cli.train_settings import INIT_FROM_MIN_COUNT, INIT_FROM_RATE, configure
from captioner.config import DecoderConfig, DecodingConfig, EncoderConfig, ModelConfig, TrainingConfig
from captioner.config_io import save_config
from captioner.errors import CaptionerError, UsageError

BASE = ModelConfig(
    EncoderConfig(feature_layer="mixed5"),
    DecoderConfig("gru", 64, 32, 16, 0.3, vocabulary_size=50, locations=289, channels=768),
    DecodingConfig(6, 0.9, 15),
)


def configured(*argv):
    return configure(make_parser("train").parse_args([str(each) for each in argv]))


@pytest.fixture
def base(tmp_path) -> Path:
    save_config(tmp_path / "base" / "config.json", model=BASE)
    return tmp_path / "base"


def test_without_arguments_the_defaults_stand():
    assert configured() == (ModelConfig(), TrainingConfig())


def test_arguments_become_settings():
    model, training = configured(
        *("--cell", "lstm", "--hidden-size", 100, "--embedding-dim", 50, "--attention-dim", 25, "--max-length", 9),
        *("--feature-layer", "mixed3", "--epochs", 3, "--batch-size", 7, "--learning-rate", 0.01, "--limit", 40),
        *("--min-count", 2, "--seed", 5, "--patience", 9),
    )
    assert model.encoder == EncoderConfig(feature_layer="mixed3")
    assert model.decoder == DecoderConfig("lstm", 100, 50, 25)
    assert model.decoding == DecodingConfig(max_length=9)
    assert training == TrainingConfig(
        epochs=3, batch_size=7, learning_rate=0.01, limit=40, min_count=2, seed=5, patience=9
    )


def test_a_model_to_start_from_decides_the_sizes(base):
    model, training = configured("--init-from", base, "--epochs", 3)
    assert model == BASE
    assert training == TrainingConfig(epochs=3, learning_rate=INIT_FROM_RATE, min_count=INIT_FROM_MIN_COUNT)


def test_what_its_weights_do_not_decide_may_be_given(base):
    model, training = configured("--init-from", base, "--dropout", 0.1, "--learning-rate", 0.5, "--min-count", 2)
    assert model == dataclasses.replace(BASE, decoder=dataclasses.replace(BASE.decoder, dropout=0.1))
    assert (training.learning_rate, training.min_count) == (0.5, 2)


@pytest.mark.parametrize(
    ("option", "value", "has"),
    [
        ("--cell", "rnn", "gru"),
        ("--hidden-size", "128", "64"),
        ("--embedding-dim", "64", "32"),
        ("--attention-dim", "64", "16"),
        ("--feature-layer", "mixed8", "mixed5"),
    ],
)
def test_a_size_that_contradicts_it_is_wrong_usage(base, option, value, has):
    with pytest.raises(UsageError, match=rf"{option} {value}: --init-from .*base has {has}.*leave the argument out"):
        configured("--init-from", base, option, value)
    configured("--init-from", base, option, has)  # to say the same again contradicts nothing


def test_a_missing_or_broken_model_to_start_from_is_named(base, tmp_path):
    with pytest.raises(CaptionerError, match=r"nowhere is no model directory \(config\.json is missing\)"):
        configured("--init-from", tmp_path / "nowhere")
    (base / "config.json").write_text("{")
    with pytest.raises(CaptionerError, match=r"config\.json is not valid JSON"):
        configured("--init-from", base)


def test_fine_tuning_begins_behind_a_layer_that_is_known_for_inception_alone(base):
    model, _ = configured("--fine-tune-epochs", 2)
    assert model.encoder == EncoderConfig(fine_tune_after="mixed6")
    model, _ = configured("--fine-tune-epochs", 2, "--fine-tune-after", "mixed3")
    assert model.encoder.fine_tune_after == "mixed3"
    model, _ = configured("--init-from", base, "--fine-tune-epochs", 2, "--fine-tune-after", "mixed4")
    assert model.encoder == dataclasses.replace(BASE.encoder, fine_tune_after="mixed4")
    with pytest.raises(UsageError, match="name the layer of ResNet50 to train after, with --fine-tune-after"):
        configured("--encoder", "ResNet50", "--fine-tune-epochs", 2)
    with pytest.raises(UsageError, match="nothing is fine-tuned without --fine-tune-epochs"):
        configured("--fine-tune-after", "mixed3")


def test_teachers_are_for_fine_tuning_and_one_for_a_compact_encoder(base):
    model, _ = configured("--teacher", base, base, "--fine-tune-epochs", 2, "--distillation", 0.8)
    assert model.encoder.fine_tune_after == "mixed6"
    with pytest.raises(UsageError, match="--teacher: nothing learns from it without --fine-tune-epochs or --encoder c"):
        configured("--teacher", base)
    with pytest.raises(UsageError, match="--distillation: there is no teacher without --teacher"):
        configured("--fine-tune-epochs", 2, "--distillation", 0.8)
    with pytest.raises(UsageError, match="--encoder compact takes one, whose encoder it imitates; found 2"):
        configured("--encoder", "compact", "--teacher", base, base)
    with pytest.raises(UsageError, match=r"--hidden-size 128: --teacher .*base has 64, and its weights fit nothing"):
        configured("--encoder", "compact", "--teacher", base, "--hidden-size", 128)


def test_a_fine_tuned_model_to_start_from_has_decided_where(tmp_path):
    tuned = dataclasses.replace(BASE, encoder=dataclasses.replace(BASE.encoder, fine_tune_after="mixed3"))
    save_config(tmp_path / "config.json", model=tuned)
    assert configured("--init-from", tmp_path)[0] == tuned
    with pytest.raises(UsageError, match=r"--fine-tune-after mixed4: --init-from .* has mixed3"):
        configured("--init-from", tmp_path, "--fine-tune-epochs", 1, "--fine-tune-after", "mixed4")


def test_the_stages_after_the_cross_entropy_are_not_for_a_compact_encoder():
    message = "--fine-tune-epochs: only for encoders of keras.applications, not for compact"
    with pytest.raises(UsageError, match=re.escape(message)):
        configured("--encoder", "compact", "--fine-tune-epochs", 2)


def test_features_from_elsewhere_are_of_whole_photos():
    with pytest.raises(UsageError, match="--features: no stage uses them with --epochs 0"):
        configured("--features", "somewhere", "--epochs", 0, "--fine-tune-epochs", 2)
    with pytest.raises(UsageError, match="--views: --features holds features of whole photos only"):
        configured("--features", "parts", "--views", 4)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--fine-tune-rate 1e-3", "--fine-tune-rate: nothing is fine-tuned without --fine-tune-epochs"),
        ("--encoder-rate 1e-3 --fine-tune-views 2", "--encoder-rate, --fine-tune-views: nothing is fine-tuned"),
        ("--samples 3", "--samples: the model does not learn from its own captions without --self-critical-epochs"),
        ("--encoder compact --imitation-rate 0.1", "--imitation-rate: there is no teacher without --teacher"),
        ("--encoder compact --views 2", "--views: there is no teacher without --teacher"),
        (
            "--epochs 0 --fine-tune-epochs 2 --learning-rate 0.1",
            "--learning-rate: no stage uses it with --epochs 0",
        ),
        ("--epochs 0 --fine-tune-epochs 2 --views 2", "--views: no stage uses them .*has --fine-tune-views"),
        (
            "--epochs 0 --fine-tune-epochs 2 --strategy mirrored",
            "--strategy mirrored: no stage uses it with --epochs 0",
        ),
        ("--epochs 0", "--epochs 0: nothing would be learned; name a model to start from with --init-from"),
    ],
)
def test_what_would_do_nothing_is_wrong_usage(argv, message):
    with pytest.raises(UsageError, match=message):
        configured(*argv.split())


def test_without_epochs_of_its_own_a_training_may_have_other_stages(base):
    assert configured("--init-from", base, "--epochs", 0)[1].epochs == 0
    assert configured("--epochs", 0, "--self-critical-epochs", 2, "--views", 2)[1].views == 2
    assert configured("--epochs", 0, "--encoder", "compact", "--teacher", base, "--views", 2)[1].views == 2

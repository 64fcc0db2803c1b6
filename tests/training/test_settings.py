import dataclasses
import re
from pathlib import Path

import pytest

from captioner.cli.train_options import given_settings, make_parser
from captioner.config.decoding import DecodingConfig
from captioner.config.model import DecoderConfig, EncoderConfig, ModelConfig
from captioner.config.recipe import plan_runs, read_recipe
from captioner.config.training import TrainingConfig
from captioner.errors import CaptionerError, UsageError
from captioner.model_files.directory import describe
from captioner.training.settings import check_runs, configure, with_batch_size

BASE = ModelConfig(
    EncoderConfig(feature_layer="mixed5"),
    DecoderConfig("gru", 64, 32, 16, 0.3, vocabulary_size=50, locations=289, channels=768),
    DecodingConfig(6, 0.9, 15),
)


def configured(*argv):
    arguments = make_parser("train").parse_args([str(each) for each in argv])
    (run,) = plan_runs(arguments.recipe and read_recipe(arguments.recipe), given_settings(arguments))
    return configure(run)


@pytest.fixture
def base(tmp_path) -> Path:
    describe(tmp_path / "base", BASE, [])
    return tmp_path / "base"


def test_without_arguments_the_defaults_stand():
    assert configured() == (ModelConfig(), TrainingConfig())


def test_arguments_become_settings():
    model, training = configured(
        *("--cell", "lstm", "--hidden-size", 100, "--embedding-dim", 50, "--attention-dim", 25, "--max-length", 9),
        *("--feature-layer", "mixed3", "--epochs", 3, "--batch-size", 7, "--learning-rate", 0.01, "--limit", 40),
        *("--min-count", 2, "--seed", 5, "--patience", 9, "--weight-decay", 0.5, "--label-smoothing", 0.2),
        *("--warmup-steps", 3, "--clip-norm", 0.25, "--ema-momentum", 0),
    )
    assert model.encoder == EncoderConfig(feature_layer="mixed3")
    assert model.decoder == DecoderConfig("lstm", 100, 50, 25)
    assert model.decoding == DecodingConfig(max_length=9)
    assert training == TrainingConfig(
        epochs=3,
        batch_size=7,
        learning_rate=0.01,
        warmup_steps=3,
        weight_decay=0.5,
        clip_norm=0.25,
        label_smoothing=0.2,
        ema_momentum=0.0,
        min_count=2,
        patience=9,
        limit=40,
        seed=5,
    )


def test_a_model_to_start_from_decides_the_sizes(base):
    model, training = configured("--init-from", base, "--epochs", 3)
    assert model == BASE
    assert training == TrainingConfig(epochs=3, learning_rate=2e-4, min_count=1)


def test_what_its_weights_do_not_decide_may_be_given(base):
    model, training = configured("--init-from", base, "--dropout", 0.1, "--learning-rate", 0.5, "--min-count", 2)
    assert model == dataclasses.replace(BASE, decoder=dataclasses.replace(BASE.decoder, dropout=0.1))
    assert (training.learning_rate, training.min_count) == (0.5, 2)


@pytest.mark.parametrize("source", [["--init-from"], ["--encoder", "compact", "--teacher"]])
def test_the_longest_caption_is_not_in_the_weights(base, source):
    model, _ = configured(*source, base, "--max-length", 40)
    assert model.decoding == dataclasses.replace(BASE.decoding, max_length=40)


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
    with pytest.raises(UsageError, match="--fine-tune-after: no effect without --fine-tune-epochs"):
        configured("--fine-tune-after", "mixed3")


def test_teachers_are_for_fine_tuning_and_one_for_a_compact_encoder(base):
    model, _ = configured("--teacher", base, base, "--fine-tune-epochs", 2, "--distillation", 0.8)
    assert model.encoder.fine_tune_after == "mixed6"
    with pytest.raises(UsageError, match="--teacher: nothing learns from it without --fine-tune-epochs or --encoder c"):
        configured("--teacher", base)
    with pytest.raises(UsageError, match="--distillation: no effect without --teacher"):
        configured("--fine-tune-epochs", 2, "--distillation", 0.8)
    with pytest.raises(UsageError, match="--encoder compact takes one, whose encoder it imitates; found 2"):
        configured("--encoder", "compact", "--teacher", base, base)
    with pytest.raises(UsageError, match=r"--hidden-size 128: --teacher .*base has 64, and its weights fit nothing"):
        configured("--encoder", "compact", "--teacher", base, "--hidden-size", 128)


def test_a_fine_tuned_model_to_start_from_has_decided_where(tmp_path):
    tuned = dataclasses.replace(BASE, encoder=dataclasses.replace(BASE.encoder, fine_tune_after="mixed3"))
    describe(tmp_path, tuned, [])
    assert configured("--init-from", tmp_path)[0] == tuned
    with pytest.raises(UsageError, match=r"--fine-tune-after mixed4: --init-from .* has mixed3"):
        configured("--init-from", tmp_path, "--fine-tune-epochs", 1, "--fine-tune-after", "mixed4")


def test_the_stages_after_the_cross_entropy_are_not_for_a_compact_encoder():
    message = "--fine-tune-epochs: only for encoders of keras.applications, not for compact"
    with pytest.raises(UsageError, match=re.escape(message)):
        configured("--encoder", "compact", "--fine-tune-epochs", 2)


def test_only_fine_tuned_layers_learn_from_the_reward():
    rewards = ("--self-critical-epochs", 1, "--self-critical-encoder-rate", 1e-5)
    assert configured("--fine-tune-epochs", 1, *rewards)[0].encoder.fine_tune_after == "mixed6"
    with pytest.raises(UsageError, match="--self-critical-encoder-rate: this InceptionV3 has no fine-tuned layers"):
        configured(*rewards)


def test_features_from_elsewhere_are_of_whole_photos():
    with pytest.raises(UsageError, match="--features: no effect with --epochs 0"):
        configured("--features", "somewhere", "--epochs", 0, "--fine-tune-epochs", 2)
    with pytest.raises(UsageError, match="--views: --features holds features of whole photos only"):
        configured("--features", "parts", "--views", 4)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--fine-tune-rate 1e-3", "--fine-tune-rate: no effect without --fine-tune-epochs"),
        ("--encoder-rate 1e-3 --fine-tune-views 2", "--encoder-rate, --fine-tune-views: no effect without"),
        ("--samples 3 --self-critical-epochs 0", "--samples: no effect with --self-critical-epochs 0"),
        ("--encoder compact --imitation-rate 0.1", "--imitation-rate: no effect without --teacher"),
        ("--encoder compact --views 2", "--views: no effect on a compact encoder without --teacher"),
        (
            "--epochs 0 --fine-tune-epochs 2 --learning-rate 0.1",
            "--learning-rate: no effect with --epochs 0",
        ),
        ("--epochs 0 --fine-tune-epochs 2 --views 2", "--views: no effect with --epochs 0; .*--fine-tune-views"),
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


def test_defaults_depend_on_the_encoder_and_on_what_a_run_starts_from(tmp_path):
    compact = dataclasses.replace(BASE, encoder=EncoderConfig("compact", "grid", 144))
    describe(tmp_path / "compact", compact, [])
    describe(tmp_path / "large", BASE, [])
    alone = configured("--encoder", "compact")[1]
    assert (alone.batch_size, alone.epochs, alone.views, alone.learning_rate) == (64, 30, 1, 1e-3)
    taught = configured("--encoder", "compact", "--teacher", tmp_path / "large")[1]
    assert (taught.batch_size, taught.epochs, taught.views, taught.learning_rate) == (32, 16, 4, 3e-4)
    begun = configured("--init-from", tmp_path / "compact")[1]
    assert (begun.batch_size, begun.epochs, begun.views, begun.learning_rate) == (32, 16, 4, 2e-4)
    own = configured("--encoder", "compact", "--epochs", 3, "--batch-size", 5)[1]
    assert (own.batch_size, own.epochs) == (5, 3)


@pytest.mark.parametrize(("photos", "size"), [(45, 4), (95, 4), (240, 10), (600, 25), (768, 32), (6000, 32)])
def test_few_photos_make_smaller_batches(photos, size):
    (run,) = plan_runs(None, {})
    assert with_batch_size(TrainingConfig(), run, photos).batch_size == size
    (given,) = plan_runs(None, {"batch_size": 30})
    assert with_batch_size(TrainingConfig(batch_size=30), given, photos).batch_size == 30


def test_a_later_run_is_checked_before_the_first_begins(base, tmp_path):
    recipe = tmp_path / "chain.toml"

    def check(own: str) -> None:
        recipe.write_text(
            f'[[run]]\noutput = "{tmp_path}/first"\ncell = "gru"\nhidden_size = 48\n'
            f'[[run]]\noutput = "{tmp_path}/second"\n{own}\n'
        )
        check_runs(plan_runs(read_recipe(recipe), {}))

    check(f'init_from = "{tmp_path}/first"\nhidden_size = 48')
    with pytest.raises(UsageError, match=rf"{recipe}: run 2: --hidden-size 64: --init-from .*first has 48"):
        check(f'init_from = "{tmp_path}/first"\nhidden_size = 64')
    with pytest.raises(UsageError, match=rf"{recipe}: run 2: --samples: no effect without --self-critical-epochs"):
        check("samples = 3")
    check(f'teachers = ["{tmp_path}/first", "{base}"]\nfine_tune_epochs = 2')
    with pytest.raises(CaptionerError, match=r"chain\.toml: run 2: .*third is no model directory"):
        check(f'teachers = ["{tmp_path}/third"]\nfine_tune_epochs = 2')


def test_flags_are_held_to_the_bounds_of_the_task_before_the_first_run(tmp_path):
    recipe = tmp_path / "text.toml"
    recipe.write_text('task = "char-lm"\nlayers = 1\n')
    check_runs(plan_runs(read_recipe(recipe), {"epochs": 1}))
    with pytest.raises(UsageError, match=r"text\.toml: --epochs: expected a value from 1 to 100000, found 0"):
        check_runs(plan_runs(read_recipe(recipe), {"epochs": 0}))

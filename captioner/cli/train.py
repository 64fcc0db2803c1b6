"""`train`: photos and captions, or a text, in; a model directory out."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from captioner.cli.arguments import add_data, add_encoder_weights, add_setting, chosen
from captioner.cli.quiet import load_keras
from captioner.cli.train_text import TEXT_OPTIONS, add_text_task, run_text_task
from captioner.config import (
    CharModelConfig,
    CharTrainingConfig,
    DecoderConfig,
    DecodingConfig,
    EncoderConfig,
    ModelConfig,
    TrainingConfig,
)
from captioner.errors import UsageError

INTERRUPTED = "stopped; finished epochs are kept, and the same command goes on after them"
FINE_TUNING_RATE = 2e-4
"""The highest learning rate when starting from trained weights: one that does not wash them away."""

FINE_TUNING_MIN_COUNT = 1
"""One's own photos are few, and a name seen once is often what they are about."""

CAPTION_OPTIONS = ("limit", "min_count", "max_length", "init_from", "encoder_weights", "feature_layer", "attention_dim")
"""What only captioning models have."""

EXAMPLES = """\
examples:
  python train.py                                    find or download Flickr8k, train, score, save
  python train.py --limit 500 --epochs 3             a quick try
  python train.py --data my_photos --init-from saved_models/flickr8k --epochs 5
                                                     fine-tune on a folder with a captions.csv (image,caption)
  python train.py --cell gru --output saved_models/mine
  python train.py --task char-lm --text book.txt     a language model of the characters of a text

Stopped or killed, the same command goes on. The first run reads every photo through InceptionV3 and keeps the features
in ~/.cache/captioner (1.1 GB for Flickr8k); later runs begin at once.
"""


def make_parser(program: str) -> argparse.ArgumentParser:
    """Describe the arguments."""
    parser = argparse.ArgumentParser(
        prog=program,
        description="Train a captioning model: features, training, dev scores after each epoch, saved model.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--task", choices=("caption", "char-lm"), default="caption", help="what to train (default: caption)"
    )
    data = parser.add_argument_group("data")
    add_data(data)
    add_setting(data, TrainingConfig, "limit", "use only the first N photos of each split; 0 uses all")
    add_setting(
        data,
        TrainingConfig,
        "min_count",
        f"words seen less often are left out of the vocabulary; with --init-from {FINE_TUNING_MIN_COUNT}",
    )
    add_setting(data, DecodingConfig, "max_length", "the most words of a caption, its end counted")

    model = parser.add_argument_group("model")
    model.add_argument(
        "--init-from", metavar="DIR", type=Path, help="start from a trained model; keeps its sizes and words"
    )
    add_encoder_weights(model)
    add_setting(model, EncoderConfig, "feature_layer", "layer of InceptionV3 that is read")
    add_setting(model, DecoderConfig, "cell", "the recurrence", _defaults("cell"))
    add_setting(model, DecoderConfig, "hidden_size", "units of the recurrent state", _defaults("hidden_size"))
    add_setting(
        model, DecoderConfig, "embedding_dim", "size of a word's or character's vector", _defaults("embedding_dim")
    )
    add_setting(model, DecoderConfig, "attention_dim", "size of the attention space")
    add_setting(model, DecoderConfig, "dropout", "share of activations dropped in training", _defaults("dropout"))

    training = parser.add_argument_group("training")
    add_setting(training, TrainingConfig, "epochs", "passes over the training photos or text", _defaults("epochs"))
    add_setting(
        training,
        TrainingConfig,
        "batch_size",
        "photos a step, each with all its captions; or stretches of text",
        _defaults("batch_size"),
    )
    add_setting(
        training,
        TrainingConfig,
        "learning_rate",
        f"the highest; with --init-from {FINE_TUNING_RATE:g}",
        _defaults("learning_rate"),
    )
    add_setting(
        training,
        TrainingConfig,
        "precision",
        "auto is mixed_bfloat16 where the processor is faster in it, else float32",
    )
    add_setting(training, TrainingConfig, "seed", "of every random number")
    training.add_argument(
        "--output", metavar="DIR", type=Path, help="model directory to write (default: saved_models/<data>-<cell>)"
    )
    training.add_argument("--no-resume", action="store_true", help="start over instead of going on with a stopped run")
    training.add_argument(
        "--profile", action="store_true", help="also write profile.md: where the time of an epoch went, phase by phase"
    )
    add_text_task(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Train, and print the scores."""
    _refuse_other_task(arguments)
    if arguments.task == "char-lm":
        return run_text_task(arguments, _report)
    model, training = configure(arguments)

    from captioner.data.flickr8k import find_or_download

    dataset = find_or_download(arguments.data, arguments.data_format)  # split alike whatever --seed, as evaluate does
    if training.limit:
        dataset = dataset.limited(training.limit)
    _report(dataset.report())

    load_keras()
    from captioner.cli.table import scores_table
    from captioner.training.profile import Profile
    from captioner.training.run import Run, train_captioner
    from captioner.training.shards import give_each_shard_its_core

    give_each_shard_its_core()
    output = arguments.output or Path("saved_models") / f"{dataset.name}-{model.decoder.cell}"
    profile = Profile()
    metrics = train_captioner(
        Run(dataset, model, training, output, arguments.encoder_weights, arguments.init_from),
        resume=not arguments.no_resume,
        report=_report,
        profile=profile,
    )
    if arguments.profile:
        profile.save(output / "profile.md")
        _report(profile.table())
    print(scores_table(metrics))
    return 0


def configure(arguments: argparse.Namespace) -> tuple[ModelConfig, TrainingConfig]:
    """Turn arguments into configurations; those of `--init-from` stand where it is given.

    Raises:
        UsageError: a size was given that `--init-from` has already decided.
    """
    training = TrainingConfig(**chosen(arguments, TrainingConfig))
    if arguments.init_from is None:
        model = ModelConfig(
            EncoderConfig(**chosen(arguments, EncoderConfig)),
            DecoderConfig(**chosen(arguments, DecoderConfig)),
            DecodingConfig(**chosen(arguments, DecodingConfig)),
        )
        return model, training

    from captioner.data.model_files import read_config

    model = read_config(arguments.init_from)
    for part in (model.encoder, model.decoder, model.decoding):
        for name, value in chosen(arguments, type(part)).items():
            if name != "dropout" and value != getattr(part, name):
                raise UsageError(
                    f"--{name.replace('_', '-')} {value}: --init-from {arguments.init_from} has {getattr(part, name)}, "
                    "and its weights fit nothing else; leave the argument out"
                )
    model = replace(model, decoder=replace(model.decoder, **chosen(arguments, DecoderConfig)))
    if arguments.learning_rate is None:
        training = replace(training, learning_rate=FINE_TUNING_RATE)
    if arguments.min_count is None:
        training = replace(training, min_count=FINE_TUNING_MIN_COUNT)
    return model, training


def _refuse_other_task(arguments: argparse.Namespace) -> None:
    """Raise UsageError when options were given that mean nothing to the task."""
    foreign = TEXT_OPTIONS if arguments.task == "caption" else CAPTION_OPTIONS
    parser = make_parser("train")
    given = [name for name in foreign if getattr(arguments, name) != parser.get_default(name)]
    if given:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        other = "char-lm" if arguments.task == "caption" else "caption"
        raise UsageError(
            f"{names}: only for --task {other}, not for --task {arguments.task}; leave out one or the other"
        )


def _defaults(name: str) -> str:
    """Tell the defaults of a setting that both tasks have, where they differ."""
    caption, text = (
        next(getattr(config, name) for config in configs if hasattr(config, name))
        for configs in ((DecoderConfig, TrainingConfig), (CharModelConfig, CharTrainingConfig))
    )
    return f"{caption}" if caption == text else f"{caption}; char-lm: {text}"


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

"""The options of `train`: one for each setting, and those that exist on the command line only."""

import argparse
import dataclasses
import textwrap
from pathlib import Path
from typing import Any

from captioner.cli.arguments import add_data, add_encoder_weights, add_quiet, add_setting, default_text
from captioner.cli.parser import Parser
from captioner.config.groups import (
    CAPTION,
    CHAR_LM,
    CHARACTERS,
    COMPACT_ENCODER,
    DATA,
    FINE_TUNING,
    MODEL,
    SELF_CRITICAL,
    TEACHERS,
    TRAINING,
)
from captioner.config.training import task_settings
from captioner.system.native_stderr import load_keras_quietly
from captioner.training.start import RunOptions
from captioner.training.tensorboard import TensorBoard

GROUPS = {
    DATA: None,
    MODEL: None,
    TRAINING: None,
    FINE_TUNING: "After the cross-entropy on frozen features, the encoder's last layers are trained too. The output of "
    "the layers before them is cached in ~/.cache/captioner (2.7 GB per view for Flickr8k). The trained layers become "
    "part of the model.",
    TEACHERS: "Trained models whose next-word probabilities are learned together with the captions: by a compact "
    "encoder (one teacher), or in fine-tuning (one or more). The probabilities are cached in ~/.cache/captioner.",
    SELF_CRITICAL: "After the cross-entropy, the model samples captions. Those that agree better with the references "
    "(CIDEr-D) than the others become more likely.",
    COMPACT_ENCODER: "With --encoder compact, the encoder is trained together with the decoder. With --teacher, it "
    "first imitates the teacher's encoder, and the decoder starts as a copy of the teacher's. Sizes, dropout and "
    "vocabulary are the teacher's; new words are added.",
    CHARACTERS: "With --task char-lm. --data, --cell, --hidden-size, --embedding-dim, --dropout and most options of "
    "training also apply.",
}
"""The groups of the settings and what is said of them, in the order in which the help lists them."""

EXAMPLES = """\
examples:
  python train.py                                    # find or download Flickr8k, train, score, save
  python train.py --limit 500 --epochs 3             # a quick try
  python train.py recipes/best.toml                  # the best captions: nine trainings that build on each other
  python train.py recipes/best.toml --limit 200      # options override what a recipe says
  python train.py --cell gru --output saved_models/mine
  python train.py --encoder MobileNetV3Large         # another network of keras.applications, frozen
  python train.py --task char-lm --text book.txt     # a language model of the characters of a text

  # continue with your own photos: a folder with a captions.csv (image,caption), or with dog.txt beside each dog.jpg
  python train.py --data my_photos --init-from saved_models/flickr8k --epochs 5

After an interruption, run the same command again: it resumes. The first run reads every photo through InceptionV3 and
caches the features in ~/.cache/captioner (1.1 GB for Flickr8k); later runs start at once. See docs/training.md.
"""


class _HelpAll(argparse.Action):
    def __init__(self, option_strings: list[str], dest: str, **more: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, **more)

    def __call__(self, parser: argparse.ArgumentParser, *of_the_command_line: Any) -> None:
        make_parser(parser.prog, everything=True).print_help()
        parser.exit()


def make_parser(program: str, everything: bool = False) -> argparse.ArgumentParser:
    """Describe the arguments; the help lists the settings that people use first, or `everything` in groups."""
    parser = Parser(
        prog=program,
        usage="%(prog)s [RECIPE] [OPTION ...]",
        description="Train a captioning model, print its scores on the dev split after each epoch, and save it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "recipe",
        metavar="RECIPE",
        nargs="?",
        type=Path,
        help="a file with settings, such as recipes/best.toml, or the metrics.json of a finished training",
    )
    parser.add_argument("--help-all", action=_HelpAll, help="show all options, in groups")
    groups: dict[str, argparse._ActionsContainer] = {
        title: parser.add_argument_group(title, description and textwrap.fill(description, 118))
        if everything
        else parser
        for title, description in GROUPS.items()
    }
    add_data(groups[DATA])
    for name, about in all_settings().items():
        action = add_setting(groups[about.metadata["group"]], about, _defaults(name))
        if not everything and not about.metadata.get("first"):
            action.help = argparse.SUPPRESS
    add_encoder_weights(groups[MODEL])
    groups[TRAINING].add_argument(
        "--no-resume", action="store_true", help="start from scratch instead of resuming a stopped run"
    )
    groups[TRAINING].add_argument(
        "--profile", action="store_true", help="also write profile.md: where the time of an epoch went, by phase"
    )
    groups[TRAINING].add_argument(
        "--tensorboard",
        metavar="DIR",
        type=Path,
        help="also write the figures of each epoch for TensorBoard, which the extra `tensorboard` brings",
    )
    add_quiet(parser)
    if not everything:
        for action in parser._actions:
            if action.dest in ("data_format", "encoder_weights", "no_resume", "profile", "tensorboard", "quiet"):
                action.help = argparse.SUPPRESS
    return parser


def all_settings() -> dict[str, dataclasses.Field[Any]]:
    """Return the settings of both tasks by name; those that both have are the captioning model's."""
    captioning, text = task_settings(CAPTION), task_settings(CHAR_LM)
    return captioning | {name: about for name, about in text.items() if name not in captioning}


def given_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that were given on the command line, by name."""
    values = {name: getattr(arguments, name) for name in all_settings()}
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items() if value is not None
    }


def given_manner(arguments: argparse.Namespace) -> RunOptions:
    """Return the configuration of a training.

    Raises:
        CaptionerError: TensorBoard is asked for, and not installed.
    """
    callbacks = [TensorBoard(arguments.tensorboard)] if arguments.tensorboard else []
    return RunOptions(not arguments.no_resume, arguments.profile, callbacks, load_keras_quietly)


def _defaults(name: str) -> str:
    """Describe the default of a setting, and those of the other task and of other trainings, where they differ."""
    about = all_settings()[name]
    defaults = [about.metadata.get("default_help") or default_text(about.default)]
    other = task_settings(CHAR_LM).get(name, about)
    if other.default != about.default:
        defaults.append(f"{CHAR_LM}: {default_text(other.default)}")
    defaults += [
        f"{training}: {default_text(value)}" for training, value in about.metadata.get("otherwise", {}).items()
    ]
    return "; ".join(each for each in defaults if each)

"""Arguments that several commands share, made from the configurations so that names, bounds and defaults agree."""

import argparse
import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from captioner.config_io import check_bounds
from captioner.data.encoder_weights import default_encoder_weights
from captioner.errors import CaptionerError, UsageError


def add_setting(
    group: argparse._ActionsContainer, config: Any, name: str, help_text: str, default: str | None = None
) -> None:
    """Add `--name` for a field of the configuration class `config`; not given, it is None.

    The help tells the field's default, or what `default` says instead.
    """
    field = next(field for field in dataclasses.fields(config) if field.name == name)
    kind: Callable[[str], Any] = type(field.default)

    def parse(text: str) -> Any:
        try:
            value = kind(text)
            check_bounds(field, value, "value")
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected {kind.__name__}, found {text!r}") from None
        except CaptionerError as error:
            raise argparse.ArgumentTypeError(str(error).removeprefix("value: ")) from None
        return value

    choices = field.metadata.get("choices")
    group.add_argument(
        f"--{name.replace('_', '-')}",
        type=str if choices else parse,
        choices=choices,
        metavar=None if choices else ("N" if kind is int else "X" if kind is float else "NAME"),
        help=f"{help_text} (default: {field.default if default is None else default})",
    )


def chosen(arguments: argparse.Namespace, config: Any) -> dict[str, Any]:
    """Return those fields of the configuration class `config` that the user gave.

    Raises:
        UsageError: one is out of the bounds that this class has; the argument may serve another with wider ones.
    """
    given = {}
    for field in dataclasses.fields(config):
        value = getattr(arguments, field.name, None)
        if value is not None:
            try:
                check_bounds(field, value, flags([field.name]))
            except CaptionerError as error:
                raise UsageError(str(error)) from None
            given[field.name] = value
    return given


def flags(names: Iterable[str]) -> str:
    """Name arguments as a user types them, for messages."""
    return ", ".join(f"--{name.replace('_', '-')}" for name in names)


def add_data(group: argparse._ActionsContainer) -> None:
    """Add `--data` and `--data-format`."""
    from captioner.data.formats import FORMATS  # which `predict` has no use for

    group.add_argument(
        "--data",
        metavar="DIR",
        help="folder with photos and captions in UTF-8 (default: $CAPTIONER_DATA, then datasets/flickr8k; if neither "
        "exists, Flickr8k is downloaded there, 1.1 GB)",
    )
    group.add_argument(
        "--data-format",
        choices=("auto", *FORMATS),
        default="auto",
        help="format of the captions; auto detects it (default: auto). csv is any table with columns for photo and "
        "caption, jsonl the same as JSON; sidecar is a text file beside each photo. docs/training.md lists all",
    )


def add_encoder_weights(group: argparse._ActionsContainer, downloads: bool = True) -> None:
    """Add `--encoder-weights`; `downloads` says whether the command fetches what is not there."""
    where = "downloaded once: 87 MB" if downloads else "which `python -m captioner download encoder` fetches, 87 MB"
    group.add_argument(
        "--encoder-weights",
        metavar="FILE",
        default=default_encoder_weights(),
        help="InceptionV3 weights without the top layers, .h5 (default: $CAPTIONER_ENCODER_WEIGHTS, then Keras's "
        f"ImageNet weights, {where}); a compact model has its own",
    )


def add_search(group: argparse._ActionsContainer) -> None:
    """Add `--beam-width`, `--length-penalty` and `--no-repeat-ngram-size`."""
    from captioner.config import DecodingConfig

    helps = {
        "beam_width": "sentences that the beam search keeps; 1 is the fastest",
        "length_penalty": "values above 0 favour longer captions",
        "no_repeat_ngram_size": "no sequence of N words occurs twice in a caption; 0 allows it",
    }
    for name, help_text in helps.items():
        add_setting(group, DecodingConfig, name, help_text, default="the model's own")


def add_model(group: argparse._ActionsContainer) -> None:
    """Add `--model` of the commands that caption."""
    group.add_argument(
        "--model",
        metavar="DIR",
        type=Path,
        help="model directory (default: saved_models/flickr8k if InceptionV3's weights are there, otherwise "
        "saved_models/compact, which needs none)",
    )

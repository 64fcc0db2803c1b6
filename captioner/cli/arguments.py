"""Arguments that several commands share, made from the settings so that names, bounds and defaults agree."""

import argparse
import dataclasses
import typing
from collections.abc import Callable, Mapping
from typing import Any

from captioner.config.decoding import DecodingConfig, SamplingConfig, WordingConfig
from captioner.config.model import ENCODER_PRECISIONS
from captioner.config.options import flags, given
from captioner.config.serialization import check_bounds
from captioner.config.setting import settings_of
from captioner.errors import CaptionerError, UsageError
from captioner.model_files.encoder_weights import default_encoder_weights
from captioner.model_files.shipped import SHIPPED, model_directory

METAVARS = {int: "N", float: "X", str: "TEXT"}


def add_setting(
    group: argparse._ActionsContainer, about: dataclasses.Field[Any], default: str | None = None
) -> argparse.Action:
    """Add the option of a setting; not given, it is None.

    The help shows the setting's default, or `default` instead.
    """
    kind = _value_type(about)

    def parse(text: str) -> Any:
        try:
            value = kind(text)
            check_bounds(about, value, "value")
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected {kind.__name__}, found {text!r}") from None
        except CaptionerError as error:
            raise argparse.ArgumentTypeError(str(error).removeprefix("value: ")) from None
        return value

    options: dict[str, Any] = {"action": argparse.BooleanOptionalAction} if kind is bool else {"type": parse}
    if kind is not bool:
        options["metavar"] = about.metadata.get("metavar", METAVARS[kind])
    if choices := about.metadata.get("choices"):
        shown = {} if "metavar" in about.metadata else {"metavar": None}
        options |= {"type": str, "choices": choices} | shown
    if about.type == tuple[str, ...]:
        options |= {"nargs": "+", "action": "extend"}
    if default is None:
        default = about.metadata.get("default_help") or default_text(about.default)
    sentence = about.metadata["help"] + (f" (default: {default})" if default else "")
    return group.add_argument(flags([about.name]), dest=about.name, help=sentence, default=None, **options)


def _value_type(about: dataclasses.Field[Any]) -> type:
    """Return the type of one value on the command line: that of the setting, or of what it is a list of."""
    kind: Any = about.type
    return kind if isinstance(kind, type) else typing.get_args(kind)[0]


def default_text(value: Any) -> str:
    """Return a default as the help shows it; one that is empty is not shown."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value in (None, (), "") else str(value)


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
        help="the encoder's weights without the top layers, .h5 (default: Keras's ImageNet weights; for InceptionV3, "
        f"$CAPTIONER_ENCODER_WEIGHTS, then those, {where}); a compact model has its own",
    )


def add_search(group: argparse._ActionsContainer) -> None:
    """Add `--beam-width`, `--length-penalty` and `--no-repeat-ngram-size`."""
    for name in ("beam_width", "length_penalty", "no_repeat_ngram_size"):
        add_setting(group, settings_of(DecodingConfig)[name], default="the model's own")


def add_precision(group: argparse._ActionsContainer, default: str = "auto") -> None:
    """Add `--precision`."""
    group.add_argument(
        "--precision",
        choices=ENCODER_PRECISIONS,
        default=default,
        help="how the encoder computes: float32 as it was trained, int8 in a third of the time, or auto: int8 where it "
        f"costs next to nothing in captions (default: {default})",
    )


def add_wording(group: argparse._ActionsContainer) -> None:
    """Add `--max-length`, `--begin` and `--exclude`."""
    add_setting(group, settings_of(DecodingConfig)["max_length"], default="the model's own")
    for each in settings_of(WordingConfig).values():
        add_setting(group, each)


def add_sampling(group: argparse._ActionsContainer) -> None:
    """Add `--temperature`, `--top-k`, `--top-p` and `--seed`."""
    for each in settings_of(SamplingConfig).values():
        add_setting(group, each)


def given_sampling(values: Mapping[str, Any]) -> SamplingConfig | None:
    """Return how to draw captions; None where no temperature was given, so that they are searched for.

    Raises:
        UsageError: other options for drawing are given without a temperature, or those of a search with one.
    """
    found = given(values, SamplingConfig)
    if "temperature" not in found:
        if found:
            raise UsageError(f"{flags(found)}: for captions that are drawn at random; add --temperature, such as 0.7")
        return None
    if values.get("beam_width") is not None:
        raise UsageError("--beam-width is for a search, but --temperature draws at random; give one of them")
    return SamplingConfig(**found)


def add_model(group: argparse._ActionsContainer, required: bool = False) -> None:
    """Add `--model`; where it is not required, there is a default for captions."""
    default = " (default: flickr8k if InceptionV3's weights are there, otherwise compact, which needs none)"
    group.add_argument(
        "--model",
        metavar="DIR",
        type=model_directory,
        required=required,
        help=f"model directory, or one that is shipped, by name: {', '.join(SHIPPED)}{'' if required else default}",
    )


def add_min_confidence(group: argparse._ActionsContainer) -> None:
    """Add `--min-confidence`, from 0 to 1; not given, it is None.

    A command that has it calls `captioner.library.require_calibration` before any work, and takes of a caption what
    `Caption.sure_enough` leaves.
    """
    group.add_argument(
        "--min-confidence",
        metavar="P",
        type=_share,
        help="leave out captions less sure than this, from 0 to 1, and all of photos unlike those that the model "
        "learned from; see docs/captions.md",
    )


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, such as 0.6, found {text!r}")
    return value


def count_up_to(most: int) -> Callable[[str], int]:
    """Return what reads a whole number from 1 to `most`, or raises `argparse.ArgumentTypeError`."""

    def parse(text: str) -> int:
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"expected a number from 1 to {most}, found {text!r}")
        return int(text)

    return parse


def add_consensus(group: argparse._ActionsContainer) -> None:
    """Add `--no-consensus`, which says `consensus=False`."""
    group.add_argument(
        "--no-consensus",
        dest="consensus",
        action="store_false",
        help="take the network's likeliest caption, not the one that agrees best with what people say of such photos",
    )


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Add `--quiet`, which `captioner.cli.main` heeds."""
    parser.add_argument("--quiet", action="store_true", help="print errors and results, but no notes and no progress")

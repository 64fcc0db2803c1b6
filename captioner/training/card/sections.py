"""What the cards of captioning models and of character models have in common."""

import shlex
import textwrap
from pathlib import Path
from typing import Any

from captioner.system.printable import in_a_line

CELLS = {"rnn": "vanilla tanh RNN", "gru": "GRU", "lstm": "LSTM"}
"""What the recurrent cells are called."""

CITATION = (
    "cite M. Hodosh, P. Young and J. Hockenmaier, Framing Image Description as a Ranking Task, Journal of Artificial "
    "Intelligence Research 47 (2013)."
)
"""What Flickr8k's authors ask for."""


def filled(text: str, indent: str = "") -> str:
    """Return a paragraph in lines of at most 120 letters, all but the first with an indent."""
    return textwrap.fill(text, 120, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)


def place(name: str, file: str = "") -> str:
    """Return the directory of a model, or a file in it, as a word of a command; it lies where trainings put it."""
    path = f"saved_models/{name}/{file}" if file else f"saved_models/{name}"
    return shlex.quote(in_a_line(path))


def reproduce(name: str, metrics: dict[str, Any], source: str = "") -> str:
    """Return how to train the model again, and what it was trained with where that is known.

    Args:
        name: of the model.
        metrics: those of metrics.json. Its `recipe`, if there is one, is the recipe whose last run made the model.
        source: the option that names the training data, where they are not found without it.
    """
    more = f" {source}" if source else ""
    recipe = metrics.get("recipe")
    if recipe:
        command = f"python train.py {shlex.quote(in_a_line(str(recipe)))}{more}"
        story = "The first lines of the recipe say what it needs and how long it takes."
    else:
        again = place(f"{name}-again")
        command = f"python train.py {place(name, 'metrics.json')}{more} --output {again}"
        story = "`metrics.json` has all settings and serves as a recipe."
        if needed := _needed(metrics["settings"]):
            story += f" The training builds on {needed}, which must be there."
    if metrics.get("versions"):
        story += f" {_made_with(metrics['versions'])}"
    return f"```sh\n{command}\n```\n\n{filled(story)}"


def _needed(settings: dict[str, Any]) -> str:
    """Name the models that a training started from or learned from."""
    teachers = [settings.get("teacher"), *(settings.get("teachers") or [])]
    paths = [each for each in (settings.get("init_from"), *teachers) if each]
    return ", ".join(f"`{in_a_line(Path(each).name)}`" for each in dict.fromkeys(paths))


def _made_with(versions: dict[str, Any]) -> str:
    cores = versions["cores"]
    return (
        f"This model was made with captioner {versions['captioner']}, Keras {versions['keras']}, TensorFlow "
        f"{versions['tensorflow']} and Python {versions['python']} on {cores} processor core{'s' * (cores != 1)}. With "
        "others the weights differ a little."
    )

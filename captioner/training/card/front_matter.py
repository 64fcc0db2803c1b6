"""The YAML front matter of a model card, by which hubs index models; written without a YAML library."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from captioner.system.file_names import ODD_NAMES

FLICKR8K = ("flickr8k", "flickr8k-captions")
"""Names of what comes from Flickr8k: its photos with their captions, and its captions alone."""

ENGLISH = (*FLICKR8K, "tinyshakespeare")
"""Names of data whose language is known."""

Score = tuple[str, str, float]
"""A type by which hubs know a score, its name in the card, and its value."""


def front_matter(fields: Mapping[str, Any]) -> str:
    """Return front matter: the fields as YAML between two lines of dashes, strings quoted.

    Args:
        fields: by name; values are strings, numbers, lists and mappings. Empty ones and None are left out.
    """
    return "\n".join(["---", *_block({name: value for name, value in fields.items() if value}), "---", ""])


def licence(data: str) -> dict[str, str]:
    """Return the fields of the licence of a model that was trained on `data`.

    Hubs know Flickr8k's terms under no identifier of theirs, and those of other data are not known here.
    """
    known = data in FLICKR8K
    name = "flickr8k-non-commercial-research-and-education" if known else "the-terms-of-the-training-data"
    return {"license": "other", "license_name": name}


def model_index(name: str, task: tuple[str, str], data: str, scores: Mapping[str, Sequence[Score]]) -> Any:
    """Return the scores of a model as hubs read them (`model-index`); those that are no finite number are left out.

    Args:
        name: of the model.
        task: its type, as hubs name it, and its name.
        data: what the model was trained on.
        scores: of each part of the data, by the name of the part, which also stands in the name of each score.
    """
    results = [
        {
            "task": {"type": task[0], "name": task[1]},
            "dataset": {"type": data, "name": f"{data}, {part}", "split": part},
            "metrics": [
                {"type": kind, "name": f"{called} ({part})", "value": float(value)} for kind, called, value in some
            ],
        }
        for part, all_scores in scores.items()
        if (some := [each for each in all_scores if math.isfinite(each[2])])
    ]
    return [{"name": name, "results": results}] if results else []


def _block(value: Any) -> list[str]:
    """Return the lines of a mapping or a list, each indented as far as what it belongs to."""
    lines = []
    items = value.items() if isinstance(value, Mapping) else ((None, each) for each in value)
    for name, each in items:
        start = "- " if name is None else f"{name}:"
        if not isinstance(each, Mapping | list | tuple):
            lines.append(f"{start.rstrip()} {_scalar(each)}")
            continue
        inner = _block(each)
        if name is None:
            lines.append(start + inner[0])
            lines += [f"  {line}" for line in inner[1:]]
        else:
            lines += [start, *(f"  {line}" for line in inner)]
    return lines


def _scalar(value: Any) -> str:
    """Return a string in double quotes, or a number without an exponent, which YAML 1.1 takes for a string."""
    if isinstance(value, str):
        return f'"{"".join(map(_character, value.encode("utf-8", ODD_NAMES).decode("utf-8")))}"'
    if isinstance(value, float):
        digits = f"{value:.4f}".rstrip("0")
        return f"{digits}0" if digits.endswith(".") else digits
    return str(value)


def _character(character: str) -> str:
    """Return a character as it stands in double quotes."""
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08X}"

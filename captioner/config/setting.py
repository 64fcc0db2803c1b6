"""How a setting is declared: once, as a field of a dataclass.

The field has the default, the bounds and the sentence about it that `train.py --help-all` prints. The options of the
commands, the checks of configuration files, the recipes and the tables of the model cards all come from these fields.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import field
from typing import Any, TypedDict, Unpack


class About(TypedDict, total=False):
    """What `setting` knows of a field beside its default and its help.

    Attributes:
        ge, le: the bounds of a number.
        choices: the values that are allowed.
        group: where the help lists it; a field without a group follows from the data and has no option.
        flag: the option, where it is not called like the field.
        metavar: what stands for the value in the help.
        first: whether the short help lists it.
        needs: a setting without which, empty or 0, this one has no effect.
        task: the only task that has it, where its class serves both.
        otherwise: other defaults, by the training in which they hold.
        default_help: what the help says of the default, where the value alone is not clear.
        absent: what a configuration file without the setting means.
    """

    ge: float
    le: float
    choices: tuple[str, ...]
    group: str
    flag: str
    metavar: str
    first: bool
    needs: str
    task: str
    otherwise: Mapping[str, Any]
    default_help: str
    absent: Any


def setting(default: Any, help: str = "", **about: Unpack[About]) -> Any:
    """Declare a setting as the field of a dataclass."""
    return field(default=default, metadata={"help": help, **about})


def like(kind: Any, name: str, default: Any, **about: Unpack[About]) -> Any:
    """Declare a setting that another class has too, with a default of its own."""
    return field(default=default, metadata={**settings_of(kind)[name].metadata, "otherwise": {}, **about})


def settings_of(kind: Any) -> dict[str, dataclasses.Field[Any]]:
    """Return the fields of a settings class by name."""
    return {each.name: each for each in dataclasses.fields(kind)}

"""The settings of a training as a table for its card."""

from collections.abc import Mapping
from typing import Any

from captioner.config.training import task_settings


def settings_table(task: str, settings: Mapping[str, Any]) -> str:
    """Return a Markdown table of the settings of a training that differ from the defaults, each with its help.

    Args:
        task: what was trained, see `captioner.config.training.task_settings`.
        settings: by name, as metrics.json has them.
    """
    rows = [
        f"| `--{about.metadata.get('flag', name).replace('_', '-')}` | {_shown(settings[name])} | "
        f"{about.metadata['help']} |"
        for name, about in task_settings(task).items()
        if name in settings and settings[name] not in (None, []) and settings[name] != about.default
    ]
    if not rows:
        return "All settings have their defaults."
    return "\n".join(
        ["Those that differ from the defaults:", "", "| option | value | what it is |", "|---|---|---|", *rows]
    )


def _shown(value: Any) -> str:
    return ", ".join(f"`{each}`" for each in value) if isinstance(value, list) else f"{value}"

"""The models that ship with the package; found without NumPy, since commands look for them before configuring it."""

from pathlib import Path

from captioner.system.folders import current_directory

SHIPPED = ("flickr8k", "compact", "char-lm")
"""The names of the models that come with the package."""


def shipped_model(name: str = "flickr8k") -> Path:
    """Return the model `name` that comes with this installation: in the clone, or inside the installed package."""
    package = Path(__file__).parents[1]
    in_clone = package.parent / "saved_models" / name
    return in_clone if in_clone.is_dir() else package / "saved_models" / name


def model_directory(named: str | Path) -> Path:
    """Return the directory of the model that a user named, by its path, or by one of `SHIPPED` where no such path is.

    A shipped model is named as from the current directory, so that a training finds the same name as it was given the
    path.
    """
    path = Path(named)
    return Path(shown(shipped_model(str(named)))) if str(named) in SHIPPED and not path.is_dir() else path


def shown(path: Path) -> str:
    """Return a path as a user in the current directory would write it."""
    here = current_directory()
    return str(path.relative_to(here) if here and path.is_relative_to(here) else path)

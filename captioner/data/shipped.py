"""The models that come with the package; found without NumPy, since commands look for them before it is set up."""

from pathlib import Path


def shipped_model(name: str = "flickr8k") -> Path:
    """Return the model `name` that comes with this installation: in the clone, or inside the installed package."""
    package = Path(__file__).parents[1]
    temporary = package.parent / "saved_models" / name
    return temporary if temporary.is_dir() else package / "saved_models" / name

"""Captioner describes photos: InceptionV3 features, Bahdanau attention, a plain tanh RNN.

from captioner import Captioner

captioner = Captioner.load("saved_models/flickr8k")
print(captioner("photo.jpg").text)
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from captioner import layers, models
    from captioner.library import Captioner
    from captioner.trainer import train

logging.getLogger(__name__).addHandler(logging.NullHandler())  # silent unless a program asks for its messages

__version__ = "0.1.0"

__all__ = ["Captioner", "__version__", "layers", "models", "train"]


def __getattr__(name: str) -> object:
    """Import what is public when it is asked for, so that `import captioner` costs nothing.

    Raises:
        CaptionerError: it needs an extra that is not installed.
    """
    if name == "Captioner":
        from captioner.library import Captioner

        return Captioner
    if name == "train":
        from captioner.trainer import train

        return train
    if name in ("layers", "models"):
        from captioner.system.extras import require

        require("train", f"captioner.{name}", "keras")
        return import_module(f"captioner.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

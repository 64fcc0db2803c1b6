"""Captioner describes photos: InceptionV3 features, Bahdanau attention, a plain tanh RNN.

from captioner import Captioner

captioner = Captioner.load("saved_models/flickr8k")
print(captioner("photo.jpg").text)
"""

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from captioner.library import Captioner

logging.getLogger(__name__).addHandler(logging.NullHandler())  # silent unless a program asks for its messages

__version__ = "0.1.0"

__all__ = ["Captioner", "__version__"]


def __getattr__(name: str) -> object:
    """Import what is public when it is asked for, so that `import captioner` costs nothing."""
    if name == "Captioner":
        from captioner.library import Captioner

        return Captioner
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

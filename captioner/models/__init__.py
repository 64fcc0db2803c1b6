"""The networks, built from configurations: `encoder` reads a photo, `captioner` writes the sentence.

`directory` saves and loads a model as one folder. `char_lm` is the second model: it predicts the next character.
Importing this package registers both, and the layers inside, so that Keras loads files that hold them.
"""

from captioner.models.captioner import CaptionModel
from captioner.models.char_lm import CharModel

__all__ = ["CaptionModel", "CharModel"]

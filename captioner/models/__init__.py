"""The networks, built from configurations: `encoder` reads a photo, `captioner` writes the sentence.

`directory` saves and loads a model as one folder. `char_lm` is the second model: it predicts the next character.
`compact` is our own encoder, whose batch normalisation `folding` folds, and whose weights `compact_file` reads.
`networks` loads encoder and decoder; `photo_model` and `tuned_model` join the two for training.
Importing this package registers both, and the layers inside, so that Keras loads files that hold them.
"""

from captioner.models.captioner import CaptionModel
from captioner.models.char_lm import CharModel

__all__ = ["CaptionModel", "CharModel"]

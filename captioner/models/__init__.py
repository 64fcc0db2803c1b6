"""The networks, built from configurations: `encoder` reads a photo, `captioner` writes the sentence.

`directory` saves and loads a model as one folder. `char_lm` is the second model: it foretells the next character.
"""

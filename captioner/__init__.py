"""Captioner describes photos: InceptionV3 features, Bahdanau attention, a plain tanh RNN."""

__version__ = "0.1.0"

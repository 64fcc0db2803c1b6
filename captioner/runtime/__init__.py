"""Prediction without TensorFlow or Keras.

`char_lm.LanguageModel` reads a character model's directory into NumPy arrays, and generates, suggests and scores with
them; `char_network` holds the arithmetic.
"""

"""Prediction without TensorFlow or Keras.

Begin with `captioner`, which takes photos to captions: `encoder` runs a LiteRT network, `decoder` is the recurrent
network in NumPy (`cells`, `normalisation`, `blocked_matmul`), and `caption` is the result. `uniforms` are the random
numbers of drawn captions. `encoder_cache`, `prepared_encoder` and `template` prepare the encoder. `char_lm` is the
language model: `char_network` is its arithmetic, and `adaptation` and `ngram_cache` let it adapt to a text.
"""

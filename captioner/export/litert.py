"""The Keras networks in the forms that `captioner.runtime` reads."""

import keras
import tensorflow as tf


def convert_encoder(encoder: keras.Model) -> bytes:
    """Turn an encoder, images (B, S, S, 3) to features (B, L, D), into a LiteRT network for one image at a time.

    A batch of fixed size needs no operations but those that LiteRT itself has, and lets XNNPACK take the whole.
    """
    size, channels = encoder.input_shape[2:]
    image = tf.TensorSpec((1, size, size, channels), tf.float32, "image")
    function = tf.function(lambda image: encoder(image, training=False), input_signature=[image], autograph=False)
    variables = tf.Module()  # a Keras model as the tracked object would be traced once more
    variables.values = [variable.value for variable in encoder.variables]
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], variables)
    return bytes(converter.convert())

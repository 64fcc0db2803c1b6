"""The Keras networks in the forms that `captioner.runtime` reads."""

import keras
import tensorflow as tf


def convert_encoder(encoder: keras.Model, half: bool = False, int8: bool = False) -> bytes:
    """Turn an encoder, images (B, S, S, 3) to features (B, L, D), into a LiteRT network for one image at a time.

    A batch of fixed size needs no operations but those that LiteRT itself has, and lets XNNPACK take the whole.

    Args:
        encoder: the network.
        half: whether its weights are kept in half precision. They are widened as the network is loaded, and it computes
            in float32 in either case.
        int8: whether the larger kernels are kept as int8, and multiplied with photos rounded to int8 (dynamic range).
    """
    size, channels = encoder.input_shape[2:]
    image = tf.TensorSpec((1, size, size, channels), tf.float32, "image")
    function = tf.function(lambda image: encoder(image, training=False), input_signature=[image], autograph=False)
    variables = tf.Module()  # a Keras model as the tracked object would be traced once more
    variables.values = [variable.value for variable in encoder.variables]
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], variables)
    if half or int8:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if half:
        converter.target_spec.supported_types = [tf.float16]
    return bytes(converter.convert())

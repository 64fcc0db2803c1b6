"""Fold batch normalisation into the convolutions of the compact encoder for prediction, and unfold it for training."""

from typing import Any

import keras
import numpy as np
from keras import ops

from captioner.model_files.convolution import Convolution
from captioner.models.captioner import CaptionModel
from captioner.models.compact import NORM, build_compact


def half(values: Any) -> np.ndarray:
    """Round numbers to what half precision can hold, float32 in and out; what is larger becomes its largest."""
    largest = np.finfo(np.float16).max
    return np.clip(ops.convert_to_numpy(values), -largest, largest).astype(np.float16).astype(np.float32)


def folded(encoder: keras.Model) -> keras.Model:
    """Return the encoder that gives what this one gives in prediction, without its batch normalisation.

    A convolution and a normalisation by known means and variances are one convolution with a bias:
    gamma (K * x - mean) / sigma + beta = (K gamma / sigma) * x + (beta - mean gamma / sigma). All numbers are rounded
    to half precision, so that what is scored is what a model directory keeps.

    Args:
        encoder: what `build_compact` gave, and training changed.
    """
    plain = build_compact(encoder.input_shape[1], folded=True, channels=encoder.output_shape[-1])
    names = {layer.name for layer in encoder.layers}
    for layer in plain.layers:
        weights = encoder.get_layer(layer.name).get_weights()
        if layer.name + NORM in names:
            (kernel,), norm = weights, encoder.get_layer(layer.name + NORM)
            gamma, beta, mean, variance = (
                ops.convert_to_numpy(each) for each in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
            )
            scale = gamma / np.sqrt(variance + norm.epsilon)  # (C,)
            weights = [kernel * scale, beta - mean * scale]
        layer.set_weights([half(each) for each in weights])
    plain.trainable = False
    return plain


def unfold(plain: keras.Model, encoder: keras.Model, images: np.ndarray) -> None:
    """Start an encoder that has batch normalisation at the weights of one that `folded` gave, to train it on.

    The means and variances that training goes by are those that the convolutions give for `images`. The scales and
    offsets are such that normalising by them changes nothing, so the encoder gives what the folded one gives, and
    gives it in training too as far as a batch is like these images.

    Args:
        plain: the folded encoder.
        encoder: what `build_compact` gave for the same size; changed in place.
        images: float32 (B, S, S, 3) in [-1, 1], as training will see them.
    """
    names = {layer.name for layer in encoder.layers}
    normalised = [layer for layer in plain.layers if layer.name + NORM in names]
    seen = keras.Model(plain.input, [layer.output for layer in normalised])(images, training=False)
    for layer, values in zip(normalised, seen, strict=True):
        kernel, bias = layer.get_weights()
        norm = encoder.get_layer(layer.name + NORM)
        mean = ops.convert_to_numpy(ops.mean(values, axis=(0, 1, 2)))  # (C,), the bias included
        variance = ops.convert_to_numpy(ops.var(values, axis=(0, 1, 2)))
        encoder.get_layer(layer.name).set_weights([kernel])
        norm.set_weights([np.sqrt(variance + norm.epsilon), mean, mean - bias, variance])
    for layer in plain.layers:
        if layer not in normalised:
            encoder.get_layer(layer.name).set_weights(layer.get_weights())


def convolutions(encoder: keras.Model) -> list[Convolution]:
    """Return the convolutions of an encoder in the order of its layers, each with the batch normalisation behind it.

    Args:
        encoder: a network whose convolutions have either a bias or a batch normalisation without gamma.
    """
    behind = {id(layer.input): layer for layer in encoder.layers if isinstance(layer, keras.layers.BatchNormalization)}
    found = []
    for layer in encoder.layers:
        if not isinstance(layer, keras.layers.Conv2D):
            continue
        kernel = ops.convert_to_numpy(layer.kernel)  # (H, W, I, O)
        if norm := behind.get(id(layer.output)):
            values = [ops.convert_to_numpy(each) for each in (norm.beta, norm.moving_mean, norm.moving_variance)]
            found.append(Convolution.folded(kernel, np.stack(values), norm.epsilon))
        else:
            found.append(Convolution(kernel.transpose(3, 0, 1, 2), ops.convert_to_numpy(layer.bias)))
    return found


def rounded(network: CaptionModel) -> CaptionModel:
    """Return a copy of a decoder, in float32, whose weights are rounded to half precision."""
    copy = CaptionModel(network.config)
    copy.take({name: half(values) for name, values in network.named_weights().items()})
    return copy

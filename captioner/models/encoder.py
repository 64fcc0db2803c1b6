"""Networks that read photos: images in, a grid of features out."""

import contextlib
import functools
import hashlib
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from captioner.config.model import COMPACT, ENCODERS, EncoderConfig
from captioner.config.serialization import listed
from captioner.errors import CaptionerError
from captioner.model_files.encoder_weights import INCEPTION, NAME, weights_of
from captioner.models.compact import build_compact

LAST = "last"
"""Stands for the last layer with a grid."""


def build_encoder(config: EncoderConfig, weights: str | Path | None = "imagenet") -> keras.Model:
    """Build a network of `keras.applications` up to `config.feature_layer`, or the compact one.

    InceptionV3 (Szegedy et al. 2016) is what the shipped model reads with. Whatever a network wants to be done to the
    pixels first is part of the encoder, so that all take images in [-1, 1].

    Args:
        config: which network, which layer, and the size of the image.
        weights: a Keras weights file; "imagenet" takes Keras's own, from its cache or by download; None leaves them
            random.

    Returns:
        a model from images float32 (B, size, size, 3) in [-1, 1] to features (B, L, D).

    Raises:
        CaptionerError: no such network or layer, or no usable weights; the message says what to do.
    """
    if config.network == COMPACT:
        encoder = build_compact(config.image_size)
        if weights is not None:
            raise CaptionerError("the compact encoder has no weights but those in the directory of its model")
        encoder.trainable = False
        return encoder
    size = config.image_size
    if config.network not in ENCODERS:
        raise CaptionerError(f"--encoder: expected one of {listed(ENCODERS)}, found {config.network!r}")
    if weights is not None:
        weights = weights_of(config.network, str(weights))
    application = getattr(keras.applications, config.network)
    make = functools.partial(application, include_top=False, input_shape=(size, size, 3))
    network = _with_imagenet(make, config.network) if weights == "imagenet" else _without_weights(make, config)
    grids = {layer.name: layer for layer in network.layers if _is_grid(layer)}
    layer = list(grids)[-1] if config.feature_layer == LAST else config.feature_layer
    if layer not in grids:
        several = [name for name in grids if name.startswith("mixed")] or list(grids)[-8:]
        raise CaptionerError(
            f"--feature-layer: {config.network} has no layer {layer!r} with a grid of features; expected one "
            f"such as {LAST} or {', '.join(several)}"
        )
    if weights not in ("imagenet", None):
        _load_file(network, Path(weights), config.network)
    grid = grids[layer].output
    _, rows, columns, channels = grid.shape
    features = keras.layers.Reshape((rows * columns, channels), name="features")(grid)
    encoder = keras.Model(network.input, features, name="encoder")
    if config.network != "InceptionV3":  # which wants [-1, 1] as it is
        encoder = _preprocessing(encoder, sys.modules[application.__module__].preprocess_input)
    encoder.trainable = False
    return encoder


def _without_weights(make: Callable[..., keras.Model], config: EncoderConfig) -> keras.Model:
    try:
        return make(weights=None)
    except ValueError as error:  # a network refuses images that are too small for it
        raise CaptionerError(
            f"--encoder {config.network} --image-size {config.image_size}: {_reason(error)}"
        ) from error


def _is_grid(layer: keras.layers.Layer) -> bool:
    shape = list(getattr(getattr(layer, "output", None), "shape", []))
    return len(shape) == 4 and None not in shape[1:] and shape[1] * shape[2] > 1


def _preprocessing(network: keras.Model, preprocess_input: Callable[..., Any]) -> keras.Model:
    """Put a network behind its own preprocessing, for images in [-1, 1]."""
    image = keras.Input(network.input_shape[1:], name="image")
    return keras.Model(image, network(preprocess_input((image + 1.0) * 127.5)), name="encoder")


def last_layers(encoder: keras.Model, after: str) -> keras.Model:
    """Return the layers of an encoder after one of them as a separate network, which shares the weights.

    Args:
        encoder: what `build_encoder` made of a network of `keras.applications`.
        after: the name of a layer with a grid of L' regions and D' channels, past which nothing else leads.

    Returns:
        a model from that layer's output, as an encoder cut there gives it (B, L', D'), to features (B, L, D).

    Raises:
        CaptionerError: there is no such layer, other layers lead past it, or those behind it have no weights.
    """
    network = next((layer for layer in encoder.layers if isinstance(layer, keras.Model)), encoder)
    grids = [layer.name for layer in network.layers[1:] if _is_grid(layer)]
    if after not in grids:
        several = [name for name in grids if name.startswith("mixed")] or grids[-8:]
        raise CaptionerError(
            f"--fine-tune-after: the encoder has no layer {after!r} with a grid of features; expected one such as "
            f"{', '.join(several)}"
        )
    grid = network.get_layer(after).output
    try:
        rest = keras.Model(grid, network.output)
    except ValueError as error:  # the graph hangs on other layers too
        raise CaptionerError(
            f"--fine-tune-after: the layers behind {after!r} read others before it too; name the end of a block"
        ) from error
    if not rest.weights:
        raise CaptionerError(
            f"--fine-tune-after: no layer behind {after!r} has weights that could be tuned; name an earlier one, or a "
            "later --feature-layer"
        )
    _, rows, columns, channels = grid.shape
    regions = keras.Input((rows * columns, channels), name="grid")
    return keras.Model(regions, rest(keras.layers.Reshape((rows, columns, channels))(regions)), name="last_layers")


class KerasEncoder:
    """An encoder as `captioner.runtime.captioner` calls it, an image at a time; may be called from several threads.

    Args:
        model: images (B, S, S, 3) to features (B, L, D).
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._lock = threading.Lock()
        self.image_size = int(model.input_shape[1])

    def __call__(self, image: np.ndarray, single_threaded: bool = False) -> np.ndarray:
        """Read an image (S, S, 3) -> (L, D); the framework decides how many cores it takes."""
        with self._lock:
            return keras.ops.convert_to_numpy(self._model(image[None], training=False))[0]


def weights_fingerprint(encoder: keras.Model) -> str:
    """Name the weights of an encoder by their values, wherever they were read from: 32 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    for variable in encoder.weights:  # not the states of random numbers, which no two processes share
        digest.update(keras.ops.convert_to_numpy(variable).tobytes())
    return digest.hexdigest()


def _load_file(network: keras.Model, path: Path, name: str) -> None:
    if not path.is_file():
        raise CaptionerError(
            f"--encoder-weights: {path} is not a file; expected {name}'s weights without top (.h5). "
            "Without this setting Keras's own are downloaded"
        )
    try:
        with warnings.catch_warnings(record=True) as remarks:  # hundreds, about the file of another network
            warnings.simplefilter("always")
            network.load_weights(path)
    except Exception as error:  # h5py and Keras raise many kinds; to a user they mean the same
        raise CaptionerError(
            f"--encoder-weights: {path} does not hold the weights of {name} without top ({_reason(error)}); name a "
            "file of this network, or leave the setting out for Keras's own"
        ) from error
    for each in remarks:
        warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


def _with_imagenet(make: Callable[..., keras.Model], name: str) -> keras.Model:
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras draws its progress bar on stdout, which is for results
            return make(weights="imagenet")
    except Exception as error:  # urllib, checksums, disks: each with its own kind
        size, file = "", f"{name}'s weights without top"
        if name == INCEPTION:
            size, file = " (87 MB)", NAME
        raise CaptionerError(
            f"{name}'s ImageNet weights{size} are not here and could not be downloaded "
            f"({_reason(error)}). With a connection, run the same command again; without "
            f"one, copy {file} from a machine that has it and name it "
            "with --encoder-weights FILE or CAPTIONER_ENCODER_WEIGHTS"
        ) from error


def _reason(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__

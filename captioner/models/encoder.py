"""InceptionV3 as a reader of photos: images in, a grid of features out."""

import contextlib
import functools
import hashlib
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from captioner.config import EncoderConfig
from captioner.errors import CaptionerError


def build_encoder(config: EncoderConfig, weights: str | Path | None = "imagenet") -> keras.Model:
    """Build the trunk of InceptionV3 (Szegedy et al. 2016) up to `config.feature_layer`.

    Args:
        config: which layer, and the size of the image.
        weights: a Keras weights file; "imagenet" takes Keras's own, from its cache or by download; None leaves them
            random.

    Returns:
        a model from images float32 (B, size, size, 3) in [-1, 1] to features (B, L, D).

    Raises:
        CaptionerError: no such layer, or no usable weights; the message says what to do.
    """
    size = config.image_size
    application = getattr(keras.applications, config.network, None)
    if not callable(application):
        raise CaptionerError(f"encoder: keras.applications has no {config.network!r}; expected InceptionV3")
    make = functools.partial(application, include_top=False, input_shape=(size, size, 3))
    network = _with_imagenet(make) if weights == "imagenet" else make(weights=None)
    grids = {layer.name: layer for layer in network.layers if len(layer.output.shape) == 4}
    if config.feature_layer not in grids:
        mixed = [name for name in grids if name.startswith("mixed")]
        raise CaptionerError(
            f"--feature-layer: InceptionV3 has no layer {config.feature_layer!r} with a grid of features; "
            f"expected one such as {', '.join(mixed)}"
        )
    if weights not in ("imagenet", None):
        _load_file(network, Path(weights))
    grid = grids[config.feature_layer].output
    _, rows, columns, channels = grid.shape
    features = keras.layers.Reshape((rows * columns, channels), name="features")(grid)
    encoder = keras.Model(network.input, features, name="encoder")
    encoder.trainable = False
    return encoder


class KerasEncoder:
    """An encoder as `captioner.runtime.captioner` calls it, an image at a time; may be called from several threads.

    Args:
        model: images (B, S, S, 3) to features (B, L, D).
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._lock = threading.Lock()
        self.image_size = int(model.input_shape[1])

    def __call__(self, image: np.ndarray, among_others: bool = False) -> np.ndarray:
        """Read an image (S, S, 3) -> (L, D); the framework decides how many cores it takes."""
        with self._lock:
            return keras.ops.convert_to_numpy(self._model(image[None], training=False))[0]


def weights_fingerprint(encoder: keras.Model) -> str:
    """Name the weights of an encoder by their values, wherever they were read from: 32 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    for variable in encoder.variables:
        digest.update(keras.ops.convert_to_numpy(variable).tobytes())
    return digest.hexdigest()


def _load_file(network: keras.Model, path: Path) -> None:
    if not path.is_file():
        raise CaptionerError(
            f"--encoder-weights: {path} is not a file; expected InceptionV3's weights without top (.h5). "
            "Without this setting Keras's own are downloaded"
        )
    try:
        network.load_weights(path)
    except Exception as error:  # h5py and Keras raise many kinds; to a user they mean the same
        raise CaptionerError(
            f"--encoder-weights: {path} does not hold the weights of InceptionV3 without top ({_reason(error)})"
        ) from error


def _with_imagenet(make: Callable[..., keras.Model]) -> keras.Model:
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras draws its progress bar on stdout, which is for results
            return make(weights="imagenet")
    except Exception as error:  # urllib, checksums, disks: each with its own kind
        raise CaptionerError(
            f"InceptionV3's ImageNet weights (87 MB) are not here and could not be downloaded "
            f"({_reason(error)}). With a connection, run the same command again; without "
            "one, copy inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5 from a machine that has it and name it "
            "with --encoder-weights FILE or CAPTIONER_ENCODER_WEIGHTS"
        ) from error


def _reason(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__

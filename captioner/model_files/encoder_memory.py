"""The memory that an encoder takes, known from its name and image size before any is allocated."""

import math
import os
from collections.abc import Mapping
from pathlib import Path

from captioner.config.model import COMPACT, EncoderConfig
from captioner.errors import CaptionerError

COSTS = {
    "InceptionV3": (21.9, 379),
    COMPACT: (3.9, 80),
    "InceptionResNetV2": (54.4, 955),
    "Xception": (20.9, 700),
    "VGG16": (14.8, 304),
    "VGG19": (20.1, 330),
    "ResNet50": (23.6, 741),
    "ResNet101": (42.7, 1116),
    "ResNet152": (58.4, 1579),
    "ResNet50V2": (23.6, 626),
    "ResNet101V2": (42.7, 1023),
    "ResNet152V2": (58.4, 1512),
    "MobileNet": (3.3, 337),
    "MobileNetV2": (2.3, 436),
    "MobileNetV3Small": (1.0, 108),
    "MobileNetV3Large": (3.0, 308),
    "NASNetMobile": (4.3, 553),
    "NASNetLarge": (85.0, 2570),
    "DenseNet121": (7.1, 996),
    "DenseNet169": (12.7, 1199),
    "DenseNet201": (18.4, 1542),
    "EfficientNetB0": (4.1, 502),
    "EfficientNetB1": (6.6, 690),
    "EfficientNetB2": (7.8, 722),
    "EfficientNetB3": (10.8, 955),
    "EfficientNetB4": (17.7, 1240),
    "EfficientNetB5": (28.6, 1698),
    "EfficientNetB6": (41.0, 2168),
    "EfficientNetB7": (64.1, 2892),
    "EfficientNetV2B0": (6.0, 323),
    "EfficientNetV2B1": (7.0, 428),
    "EfficientNetV2B2": (8.8, 463),
    "EfficientNetV2B3": (13.0, 577),
    "EfficientNetV2S": (20.4, 838),
    "EfficientNetV2M": (53.2, 1361),
    "EfficientNetV2L": (117.8, 2398),
    "ConvNeXtTiny": (27.9, 591),
    "ConvNeXtSmall": (49.5, 942),
    "ConvNeXtBase": (87.6, 1254),
    "ConvNeXtLarge": (196.3, 1878),
    "ConvNeXtXLarge": (348.2, 2502),
}
"""Of each network, without its classifier: millions of weights, and numbers that all its layers give for each pixel."""

COPIES = 8
"""How often the weights are held while a network is built, filled and turned into one for LiteRT."""

ONNX_COPIES = 65
"""How often they are held while it is turned into one for ONNX Runtime, whose converter frees none of its copies."""

MOST = 4.0
"""Gigabytes that the encoder of a model directory may take."""

ALLOWED = "CAPTIONER_ENCODER_MEMORY"
"""The environment variable that allows more, or less, in gigabytes."""


def check_encoder(path: Path, config: EncoderConfig, environ: Mapping[str, str] = os.environ) -> None:
    """Raise where the encoder that a model directory asks for would take too much memory to be built and run.

    Counted are `COPIES` of its weights and what all its layers make of one image, as Keras holds them until the last
    has run.

    Args:
        path: the configuration file, for the message.
        config: which network, and the size of its images.
        environ: may allow more memory.

    Raises:
        CaptionerError: it would take more than `MOST`, or than the environment allows; or that allows no number.
    """
    asked, most = encoder_memory(config), _most(environ)
    if asked > most:
        raise CaptionerError(
            f"{path}: the encoder {config.network} with an image_size of {config.image_size} would take {asked:.1f} "
            f"GB, expected at most {most:g}; take a model with smaller images or a smaller network, or, if you trust "
            f"this one and have the memory, set {ALLOWED}={math.ceil(asked)}"
        )


def check_conversion(weights: int, environ: Mapping[str, str] = os.environ) -> None:
    """Raise where turning an encoder of so many weights into ONNX would take too much memory.

    Raises:
        CaptionerError: it would take more than `MOST`, or than the environment allows; or that allows no number.
    """
    asked, most = 4 * ONNX_COPIES * weights / 1e9, _most(environ)
    if asked > most:
        raise CaptionerError(
            f"turning an encoder of {weights / 1e6:.1f} million weights into ONNX would take {asked:.1f} GB, expected "
            f"at most {most:g}; use another format, cut the encoder earlier with --feature-layer, or, if you have the "
            f"memory, set {ALLOWED}={math.ceil(asked)}"
        )


def encoder_memory(config: EncoderConfig) -> float:
    """Return the gigabytes that an encoder takes while it is built and reads an image, at most."""
    weights, numbers = COSTS[config.network]
    return 4 * (COPIES * weights * 1e6 + numbers * config.image_size**2) / 1e9


def _most(environ: Mapping[str, str]) -> float:
    if not (value := environ.get(ALLOWED)):
        return MOST
    try:
        most = float(value)
    except ValueError:
        most = math.nan
    if not most >= 0:
        raise CaptionerError(f"{ALLOWED}: expected a number of gigabytes such as {MOST:g}, found {value[:40]!r}")
    return most

"""Find InceptionV3's ImageNet weights on disk, where Keras keeps them, without Keras."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from captioner.system.home import home

log = logging.getLogger(__name__)

IMAGENET = "imagenet"
"""What stands for Keras's own weights where a file could be named."""

INCEPTION = "InceptionV3"
VARIABLE = "CAPTIONER_ENCODER_WEIGHTS"
"""The environment variable that names InceptionV3's weights."""

NAME = "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
SIZE = 87_910_968  # bytes

BY_OTHER_MEANS = (
    f"without a connection, copy {NAME} from a machine that has it, such as from its ~/.keras/models, and name it with "
    "--encoder-weights FILE or CAPTIONER_ENCODER_WEIGHTS"
)


def keras_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the file in which Keras keeps the weights, whether it is there or not."""
    named = environ.get("KERAS_HOME")
    return (Path(os.path.expanduser(named)) if named else home() / ".keras") / "models" / NAME  # noqa: PTH111


def is_here() -> bool:
    """Return whether Keras has the weights; a download that was cut off does not count."""
    try:
        return keras_file().stat().st_size == SIZE
    except OSError:
        return False


def default_encoder_weights() -> str:
    """Return the file that the environment names, or "imagenet" for Keras's own."""
    return os.environ.get(VARIABLE) or IMAGENET


def weights_of(network: str, weights: str) -> str:
    """Return the weights that a network is to have: those that the environment names are for InceptionV3 alone.

    Args:
        network: a name of `config.ENCODERS`.
        weights: a file, or "imagenet" for Keras's own.
    """
    if network != INCEPTION and weights != IMAGENET and weights == os.environ.get(VARIABLE):
        log.info("%s reads with Keras's own weights; $%s is for %s alone", network, VARIABLE, INCEPTION)
        return IMAGENET
    return weights

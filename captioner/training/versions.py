"""The programs and the machine that a training ran with, which decide the last bits of its weights."""

import platform
from typing import Any

import keras
import tensorflow as tf

from captioner import __version__
from captioner.system.cores import available_cores


def versions() -> dict[str, Any]:
    """Return the versions of what computes a training, and the number of cores, as `metrics.json` has them."""
    return {
        "captioner": __version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "python": platform.python_version(),
        "cores": available_cores(),
    }

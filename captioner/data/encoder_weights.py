"""InceptionV3's ImageNet weights on disk, where Keras keeps them; found without Keras, and downloaded as it would."""

import os
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path

from captioner.data.download import WrongFileError, obtain, verify
from captioner.errors import CaptionerError

IMAGENET = "imagenet"
"""What stands for Keras's own weights where a file could be named."""

INCEPTION = "InceptionV3"
NAME = "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
URL = f"https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/{NAME}"
MD5 = "bcbd6486424b2319ff4ef7d526e38f63"
SIZE = 87_910_968  # bytes

BY_OTHER_MEANS = (
    f"without a connection, copy {NAME} from a machine that has it, such as from its ~/.keras/models, and name it with "
    "--encoder-weights FILE or CAPTIONER_ENCODER_WEIGHTS"
)


def keras_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the file in which Keras keeps the weights, whether it is there or not."""
    return Path(environ.get("KERAS_HOME") or "~/.keras").expanduser() / "models" / NAME


def is_here() -> bool:
    """Tell whether Keras has the weights; a download that was cut off is none."""
    try:
        return keras_file().stat().st_size == SIZE
    except OSError:
        return False


def download_encoder(environ: Mapping[str, str] = os.environ) -> bool:
    """Bring the weights to where Keras looks for them; False where they are there already.

    $CAPTIONER_ENCODER_URL names another place to download from.

    Raises:
        CaptionerError: no network, no such file there, a full disk, or not the right file; the message says how to
            go on.
    """
    path, url = keras_file(environ), environ.get("CAPTIONER_ENCODER_URL") or URL
    try:
        if path.exists():
            try:
                verify(path, MD5, "it is downloaded again")
                return False
            except WrongFileError:
                pass
        path.parent.mkdir(parents=True, exist_ok=True)
        obtain(url, path, MD5)
    except (OSError, HTTPException, ValueError) as error:
        raise CaptionerError(
            f"cannot get InceptionV3's weights from {url}: {error}. Run the same command again to go on; or, "
            f"{BY_OTHER_MEANS}"
        ) from error
    return True

"""Download InceptionV3's ImageNet weights from Keras's address to Keras's cache."""

import os
from collections.abc import Mapping
from http.client import HTTPException

from captioner.errors import CaptionerError
from captioner.model_files.encoder_weights import BY_OTHER_MEANS, NAME, keras_file
from captioner.system.atomic import tells_of_no_room
from captioner.system.download import WrongFileError, obtain, verify
from captioner.system.locks import locked_directory

URL = f"https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/{NAME}"
MD5 = "bcbd6486424b2319ff4ef7d526e38f63"


def download_encoder(environ: Mapping[str, str] = os.environ) -> bool:
    """Download the weights to Keras's cache; return False if they are there already.

    $CAPTIONER_ENCODER_URL names another place to download from.

    Raises:
        CaptionerError: no network, no such file there, or not the right file; the message says what to do.
        OSError: the disk is full.
    """
    path, url = keras_file(environ), environ.get("CAPTIONER_ENCODER_URL") or URL
    try:
        with locked_directory(path.parent):  # a second download finds what the first has brought
            if path.exists():
                try:
                    verify(path, MD5, "it is downloaded again")
                    return False
                except WrongFileError:
                    pass
            obtain(url, path, MD5)
    except (OSError, HTTPException, ValueError) as error:
        if tells_of_no_room(error):
            raise
        raise CaptionerError(
            f"cannot get InceptionV3's weights from {url}: {error}. Run the same command again to resume; or, "
            f"{BY_OTHER_MEANS}"
        ) from error
    return True

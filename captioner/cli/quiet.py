"""Start TensorFlow without its remarks: a user who wants a caption has no use for notes on missing GPUs."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def load_keras() -> None:
    """Import Keras on TensorFlow, which training needs, in silence; it takes seconds, so commands call it late."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with _stderr_closed():  # some remarks come before TensorFlow reads its log level
        import keras  # noqa: F401


@contextmanager
def _stderr_closed() -> Iterator[None]:
    """Send what C++ code writes to file descriptor 2 nowhere; exceptions still come through."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)

"""Keep the remarks of libraries in C++ from people: they go to file descriptor 2, past Python."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ONE_AT_A_TIME = threading.RLock()  # of two threads, the one that is done last would put back what the other had closed


@contextmanager
def stderr_closed() -> Iterator[None]:
    """Send what C++ code writes to file descriptor 2 nowhere; exceptions still come through."""
    with _ONE_AT_A_TIME:
        if sys.stderr is not None:
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


def load_keras() -> None:
    """Import Keras on TensorFlow, which training needs, without remarks; it takes seconds, so commands call it late."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with stderr_closed():  # some remarks come before TensorFlow reads its log level
        import keras  # noqa: F401

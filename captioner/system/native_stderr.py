"""Import large libraries without their telemetry, and with as few of their messages as possible.

What they say goes to file descriptor 2, past Python. Only a command may close that (`stderr_closed`): it is the whole
process's, and in somebody else's program other threads write there too.
"""

import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from captioner.system.extras import require

_ONE_AT_A_TIME = threading.RLock()  # of two threads, the one that is done last would put back what the other had closed


@contextmanager
def stderr_closed() -> Iterator[None]:
    """Discard what C++ code writes to file descriptor 2; `sys.stderr` and exceptions still appear.

    For commands alone, and a test holds the others to it: what another thread writes there meanwhile is lost.
    """
    with _ONE_AT_A_TIME:
        before = sys.stderr
        if before is not None:
            before.flush()
        kept = os.dup(2)
        if _writes_to_2(before):  # what Python says is for people
            sys.stderr = open(  # noqa: SIM115  # of a descriptor, which is closed below
                kept, "w", encoding=before.encoding, errors=before.errors, buffering=1, closefd=False
            )
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        try:
            yield
        finally:
            if sys.stderr is not None:
                sys.stderr.flush()
            sys.stderr = before
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)


def _writes_to_2(stream: Any) -> bool:
    try:
        return bool(stream.fileno() == 2)
    except (AttributeError, OSError, ValueError):  # there is none, or it is no file's
        return False


def load_keras() -> None:
    """Import Keras on TensorFlow, which training needs; it takes seconds, so commands call it late.

    TensorFlow says that it is there before it reads its log level, so commands close stderr meanwhile.

    Raises:
        CaptionerError: they are not installed.
    """
    require("train", "this", "tensorflow", "keras")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    fonts = logging.getLogger("matplotlib.font_manager")  # which Keras imports; it logs that it looks for fonts
    level = fonts.level
    fonts.setLevel(logging.ERROR)
    try:
        import keras  # noqa: F401
    finally:
        fonts.setLevel(level)


def load_keras_quietly() -> None:
    """Import Keras with stderr closed; for commands alone."""
    with stderr_closed():
        load_keras()


def load_onnxruntime() -> Any:
    """Import ONNX Runtime, and return it; all that import it do so here.

    Its Linux wheels start their telemetry on import: they look up the address of a server, and write an identifier of
    this machine and a log of events to the home directory. Disabling it after the import is too late for both.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    return onnxruntime

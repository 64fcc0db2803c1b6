"""Start TensorFlow without its remarks: a user who wants a caption has no use for notes on missing GPUs."""

import os

from captioner.quiet import stderr_closed


def load_keras() -> None:
    """Import Keras on TensorFlow, which training needs, in silence; it takes seconds, so commands call it late."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with stderr_closed():  # some remarks come before TensorFlow reads its log level
        import keras  # noqa: F401

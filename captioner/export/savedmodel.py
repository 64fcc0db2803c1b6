"""What every export as a SavedModel needs."""

import re
from pathlib import Path
from typing import Any

import tensorflow as tf

from captioner.errors import CaptionerError
from captioner.export.directory import atomic_directory


def save(module: tf.Module, signatures: dict[str, Any], output: Path, *, model: str) -> None:
    """Write a module as a SavedModel.

    Args:
        module: holds the functions, and all variables and tables that they use.
        signatures: the functions by the names of their signatures.
        output: the directory to make; a former export there is replaced, whole or not at all.
        model: the kind of model, for the export's marker.

    Raises:
        CaptionerError: `output` holds something else, or TensorFlow cannot write there.
        OSError: `output` cannot be made.
    """
    with atomic_directory(output, format="savedmodel", model=model, tensorflow=tf.__version__) as temporary:
        try:
            tf.saved_model.save(module, str(temporary), signatures=signatures)
        except tf.errors.OpError as error:  # TensorFlow's own, for a full disk or a missing permission
            reason = re.sub(r"\{\{.*?\}\}|\[Op:\w+\]", "", error.message).strip()  # without the nodes of the graph
            raise CaptionerError(f"--output {output}: TensorFlow cannot write the SavedModel: {reason}") from error


def scalar_inputs(settings: dict[str, Any]) -> list[tf.TensorSpec]:
    """Name the scalars, tensors, that are the defaults of a function's last arguments."""
    return [tf.TensorSpec((), value.dtype, name) for name, value in settings.items()]

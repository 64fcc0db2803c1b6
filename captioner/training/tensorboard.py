"""The figures of each epoch for TensorBoard."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from captioner.system.extras import require


class TensorBoard:
    """A callback that writes each figure of an epoch as a scalar; the step is the number of the epoch.

    Args:
        directory: where the files of events go; made with the first epoch.

    Raises:
        CaptionerError: the package tensorboard is not installed.
    """

    def __init__(self, directory: str | Path) -> None:
        require("tensorboard", f"--tensorboard {directory}")
        self.directory = Path(directory)
        self._writer: Any = None

    def on_epoch_end(self, row: Mapping[str, float]) -> None:
        """Write the figures of an epoch, as `history.csv` has them."""
        import tensorflow as tf

        self._writer = self._writer or tf.summary.create_file_writer(str(self.directory))
        with self._writer.as_default(step=int(row["epoch"])):
            for name, value in row.items():
                if name != "epoch":
                    tf.summary.scalar(name, value)
        self._writer.flush()

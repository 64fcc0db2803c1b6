"""The training that people import: `captioner.train`."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from captioner.calibrate import calibrate_trained
from captioner.config.groups import CAPTION
from captioner.config.recipe import RunSettings, check_settings
from captioner.data.dataset import CaptionDataset
from captioner.data.formats import read_dataset
from captioner.errors import UsageError
from captioner.model_files.encoder_weights import default_encoder_weights
from captioner.system.extras import require
from captioner.training.settings import check_runs, with_models
from captioner.training.start import RunOptions, train_captions


class _FunctionCallback:
    """A function in the place of a callback."""

    def __init__(self, function: Callable[[dict[str, float]], object]) -> None:
        self.on_epoch_end = function


def train(
    data: str | Path | CaptionDataset,
    output: str | Path,
    *,
    callbacks: Sequence[Any] = (),
    resume: bool = True,
    encoder_weights: str | Path | None = None,
    data_format: str = "auto",
    **settings: Any,
) -> dict[str, Any]:
    """Train a captioning model on photos and captions, as `train.py` does, and write its directory.

        metrics = captioner.train("my_photos", "my_model", init_from="saved_models/flickr8k", epochs=5)
        captions = Captioner.load("my_model")

    Nothing is printed. Messages go to the logger `captioner`; `captioner.system.progress.show_progress` shows bars.

    Args:
        data: a folder in one of the formats of docs/training.md, or what `captioner.data.formats.read_dataset` gave.
        output: the model directory. A training that was interrupted there resumes.
        callbacks: functions, or objects with a method `on_epoch_end`. After each epoch, each is called with its
            figures, such as `epoch`, `loss` and `cider`; by then `output` holds the best model so far.
        resume: whether to continue what lies in `output`; otherwise it is started over.
        encoder_weights: a file with the encoder's weights; not given, $CAPTIONER_ENCODER_WEIGHTS, then Keras's own.
        data_format: of the folder; "auto" detects it.
        **settings: what `train.py --help-all` lists, by the names of recipes: `epochs=5`, `learning_rate=1e-4`.

    Returns:
        the metrics, as `metrics.json` has them.

    Raises:
        UsageError: settings contradict each other, or those of the run that lies in `output`.
        CaptionerError: a setting does not exist, of a wrong type or out of bounds; no usable data or weights, no room;
            or the training diverged.
    """
    if settings.pop("task", CAPTION) != CAPTION:
        raise UsageError("task: expected a captioning model; `train.py --task char-lm` trains the others")
    require("train", "training")
    values = check_settings({name: _plain(value) for name, value in settings.items()}, CAPTION, "train")
    run = with_models(RunSettings({**values, "output": os.fspath(output)}, frozenset(values)))
    check_runs([run])
    dataset = data if isinstance(data, CaptionDataset) else read_dataset(Path(data), data_format)
    followers: list[Any] = [each if hasattr(each, "on_epoch_end") else _FunctionCallback(each) for each in callbacks]
    weights = default_encoder_weights() if encoder_weights is None else os.fspath(encoder_weights)
    return train_captions(run, dataset, weights, RunOptions(resume=resume, callbacks=followers), calibrate_trained)


def _plain(value: Any) -> Any:
    """Return paths as text, as a recipe has them."""
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return os.fspath(value) if isinstance(value, Path) else value

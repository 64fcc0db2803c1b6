"""Start a training from the settings of a run, for the command and for `captioner.train`."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captioner.config.model import COMPACT
from captioner.config.options import given
from captioner.config.recipe import RunSettings
from captioner.config.training import FineTuningConfig, ImitationConfig, SelfCriticalConfig
from captioner.data.dataset import CaptionDataset
from captioner.system.locks import alone_in
from captioner.system.native_stderr import load_keras
from captioner.training.settings import configure, with_batch_size

if TYPE_CHECKING:
    from captioner.training.run import Callback, Training

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunOptions:
    """Settings of a run that do not change its outcome.

    Attributes:
        resume: whether to continue what lies in the output directory; otherwise it is started over.
        profile: whether to write and log where the time went.
        callbacks: called after each epoch.
        load: imports Keras; a command closes stderr meanwhile.
    """

    resume: bool = True
    profile: bool = False
    callbacks: Sequence["Callback"] = ()
    load: Callable[[], None] = load_keras


def load_training(strategy: str, manner: RunOptions) -> None:
    """Import Keras and TensorFlow, and give them the cores and GPUs that a `--strategy` asks for."""
    manner.load()
    from captioner.training.devices import prepare_devices

    prepare_devices(strategy)


def run_training(training: "Training", manner: RunOptions) -> dict[str, Any]:
    """Train, and return the metrics."""
    from captioner.training.profile import Profile
    from captioner.training.run import train

    profile = Profile()
    metrics = train(training, resume=manner.resume, profile=profile, callbacks=manner.callbacks)
    if manner.profile:
        profile.save(training.output / "profile.md")
        for line in profile.table().splitlines():
            log.info(line)
    return metrics


def train_captions(
    settings: RunSettings,
    dataset: CaptionDataset,
    encoder_weights: str,
    manner: RunOptions,
    calibrate: Callable[[Path, CaptionDataset, str, Path | None], object],
) -> dict[str, Any]:
    """Train a captioning model, and return its metrics.

    Args:
        settings: what `captioner.training.settings.check_runs` has checked.
        dataset: all of its photos.
        encoder_weights: a file with the encoder's weights, or "imagenet" for Keras's own.
        manner: how to run it.
        calibrate: takes the directory of the trained model, the photos, the encoder's weights, and the model that the
            training started from; `captioner.calibrate.calibrate_trained`, which stands above the trainings.

    Raises:
        UsageError: settings contradict each other, or those of the run that lies in the output directory.
        CaptionerError: no usable data or weights, no room, or the training diverged.
    """
    model, training = configure(settings)
    if training.limit:
        dataset = dataset.limited(training.limit)
    training = with_batch_size(training, settings, len(dataset.split("train")))
    log.info(dataset.report())
    kind = COMPACT if model.encoder.network == COMPACT else model.decoder.cell
    output = settings.path("output") or Path("saved_models") / f"{dataset.name}-{kind}"
    with alone_in(output, "training"):
        load_training(settings.values.get("strategy", "auto"), manner)
        from captioner.training.caption_run import CaptionRun, Sources
        from captioner.training.captioning import CaptionTraining
        from captioner.training.compact import CompactTraining

        config = CaptionRun(
            dataset,
            model,
            output,
            training,
            FineTuningConfig(**given(settings.values, FineTuningConfig)),
            SelfCriticalConfig(**given(settings.values, SelfCriticalConfig)),
            ImitationConfig(**given(settings.values, ImitationConfig)),
            Sources(encoder_weights, settings.path("init_from"), settings.teachers, settings.path("features")),
            settings.values.get("strategy", "auto"),
        )
        make = CompactTraining if kind == COMPACT else CaptionTraining
        metrics = run_training(make(config), manner)
        calibrate(output, dataset, encoder_weights, config.sources.init_from)
        return metrics

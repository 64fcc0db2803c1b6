"""A training as a command runs it: messages, bars, and a profile if it is asked for."""

import argparse
import logging
from typing import TYPE_CHECKING, Any

from captioner.native_stderr import load_keras, stderr_closed

if TYPE_CHECKING:
    from captioner.training.run import Training

log = logging.getLogger(__name__)


def load_training(strategy: str) -> None:
    """Import Keras and TensorFlow in silence, and give them the cores and GPUs that a `--strategy` asks for."""
    with stderr_closed():
        load_keras()
    from captioner.training.devices import prepare_devices

    prepare_devices(strategy)


def run_training(training: "Training", arguments: argparse.Namespace) -> dict[str, Any]:
    """Train, and return the metrics; with `--profile` write and log where the time went."""
    from captioner.training.profile import Profile
    from captioner.training.run import train

    profile = Profile()
    metrics = train(training, resume=not arguments.no_resume, profile=profile)
    if arguments.profile:
        profile.save(training.output / "profile.md")
        for line in profile.table().splitlines():
            log.info(line)
    return metrics

"""The training of a character language model: epochs over the text, each followed by the validation text."""

import time
from collections.abc import Callable

import keras
import numpy as np
from tqdm import tqdm

from captioner.config import CharTrainingConfig
from captioner.errors import CaptionerError
from captioner.models.char_lm import CharModel
from captioner.runtime.char_lm import LanguageModel
from captioner.runtime.char_network import CharNetwork
from captioner.text import CharacterVocabulary
from captioner.training.char_step import CharStep, stream_loss
from captioner.training.checkpoint import Checkpoint, Progress
from captioner.training.optimizer import averaged_weights, make_optimizer
from captioner.training.precision import in_float32
from captioner.training.profile import Profile
from captioner.training.streams import TextStreams

SAMPLE_LENGTH, SAMPLE_TEMPERATURE = 72, 0.7
"""Characters that are made after each epoch for people to read, and how daringly."""


def fit_char_model(
    network: CharModel,
    vocabulary: CharacterVocabulary,
    streams: TextStreams,
    validation: np.ndarray,
    config: CharTrainingConfig,
    checkpoint: Checkpoint,
    report: Callable[[str], None],
    profile: Profile | None = None,
) -> Progress:
    """Train `network` in place and leave it with the weights of the epoch that was best on `validation` (N,).

    Every epoch depends on the seed and its number alone, and begins with empty states; its end is a checkpoint with
    the optimiser and its step. So a training that was killed and resumed ends with the weights of one that was not.

    Returns:
        the epochs' figures and which was best.
    """
    profile = profile or Profile()
    optimizer = make_optimizer(network, config, config.epochs * len(streams))
    network.compile(optimizer)  # only so that checkpoints hold the optimiser's state too
    scored = in_float32(network)
    training, measuring = CharStep(network, optimizer, profile), CharStep(scored, profile=profile)
    progress = checkpoint.resume(network)
    if progress.epoch:
        report(f"going on after epoch {progress.epoch} of {config.epochs}")

    while progress.epoch < config.epochs:
        with profile.epoch():
            epoch = progress.epoch + 1
            began = time.monotonic()
            network.reseed(config.seed, epoch)
            with tqdm(total=len(streams), desc=f"epoch {epoch}/{config.epochs}", unit="batch", leave=False) as bar:

                def seen(loss: float, bar: tqdm = bar) -> None:
                    bar.set_postfix(nats=f"{loss:.3f}", refresh=False)
                    bar.update()

                loss = training.over(streams.epoch(config.seed, epoch), seen)
            scored.set_weights(averaged_weights(network, optimizer))
            validation_loss = stream_loss(measuring, validation, config.sequence_length)
            if not np.isfinite([loss, validation_loss]).all():
                raise CaptionerError(
                    f"training diverged in epoch {epoch}: the loss is {loss}, on validation {validation_loss}; lower "
                    "--learning-rate"
                )
            improved = -validation_loss > progress.best_score
            progress.epoch = epoch
            progress.history = [
                *progress.history,
                {
                    "epoch": epoch,
                    "seconds": round(time.monotonic() - began, 1),
                    "learning_rate": float(keras.ops.convert_to_numpy(optimizer.learning_rate)),
                    "nats_per_char": loss,
                    "validation_nats_per_char": validation_loss,
                },
            ]
            if improved:
                progress.best_epoch, progress.best_score = epoch, -validation_loss
            with profile.phase("write a sample"):
                sample = _sample(scored, vocabulary, config.seed)
            with profile.phase("save a checkpoint"):
                checkpoint.save(network, scored.get_weights() if improved else None, progress)
            seconds = progress.history[-1]["seconds"]
            report(
                f"epoch {epoch}/{config.epochs} {seconds:.0f} s: {loss:.3f} nats/char, validation {validation_loss:.3f}"
                f"{' (best)' if improved else ''}"
            )
            report(f"    {sample!r}")
    checkpoint.load_best(network, progress)
    return progress


def _sample(network: CharModel, vocabulary: CharacterVocabulary, seed: int) -> str:
    model = LanguageModel(vocabulary, CharNetwork(network.config, network.named_weights()))
    return "".join(model.generate("", SAMPLE_LENGTH, SAMPLE_TEMPERATURE, rng=np.random.default_rng(seed)))

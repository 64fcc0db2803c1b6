"""Epoch by epoch: train, caption the dev photos and score them, keep the best, leave a checkpoint."""

import time
from collections.abc import Callable
from dataclasses import replace

import keras
import numpy as np
from tqdm import tqdm

from captioner.config import DecodingConfig, TrainingConfig
from captioner.errors import CaptionerError
from captioner.metrics.cider import CiderD
from captioner.metrics.score import score
from captioner.models.captioner import CaptionModel
from captioner.text import Vocabulary, join_words
from captioner.training.batches import CaptionBatches
from captioner.training.checkpoint import Checkpoint, Progress
from captioner.training.evaluation import caption_split
from captioner.training.optimizer import averaged_weights
from captioner.training.profile import Profile
from captioner.training.split import Split, encode_captions
from captioner.training.step import LossStep

EPOCH_BEAM_WIDTH = 3
"""Beam width of the scores between epochs: close to the final one, at less than its time."""


class Judge:
    """Scores a network on dev, the same way after each epoch.

    Args:
        network: what captions, in float32.
        vocabulary: its words.
        read_dev: gives the dev split as the network is to see it now.
        config: how it is trained.
        decoding: how captions are searched at last; between epochs the beam is narrower.
        profile: takes the time.
    """

    def __init__(
        self,
        network: CaptionModel,
        vocabulary: Vocabulary,
        read_dev: Callable[[], Split],
        config: TrainingConfig,
        decoding: DecodingConfig,
        profile: Profile,
    ) -> None:
        self.network = network
        self.vocabulary = vocabulary
        self.read_dev = read_dev
        self.batch_size = config.batch_size
        self.search = replace(decoding, beam_width=EPOCH_BEAM_WIDTH)
        self.profile = profile
        self._measuring = LossStep(network, config.label_smoothing, profile=profile)
        self._cider: CiderD | None = None

    def __call__(self) -> tuple[dict[str, float], list[str]]:
        """Return the figures, and some captions with the names of their photos."""
        dev = self.read_dev()
        encoded = encode_captions(dev.captions, self.vocabulary, self.search.max_length)
        batches = CaptionBatches(dev.features, dev.rows, encoded, self.batch_size)
        loss, cross_entropy = self._measuring.over(batches.in_order())
        figures = {"dev_loss": loss, "dev_cross_entropy": cross_entropy}
        if not np.isfinite(loss):
            return figures, []
        with self.profile.phase("caption the dev photos"):
            beams = caption_split(self.network, dev, self.search)
            captions = [self.vocabulary.decode(beam[0].tokens) for beam in beams]
        with self.profile.phase("score the captions"):
            self._cider = self._cider or CiderD(dev.captions)
            figures |= score(captions, dev.captions, self._cider)
        figures["distinct_words"] = len({word for words in captions for word in words})
        figures["mean_length"] = float(np.mean([len(words) for words in captions]))
        return figures, [f"{dev.names[number]}: {join_words(captions[number])}" for number in samples(len(captions))]


def run_epochs(
    network: keras.Model,
    scored: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    batches: int,
    learn: Callable[[int, Callable[[float], None]], dict[str, float]],
    judge: Judge,
    config: TrainingConfig,
    checkpoint: Checkpoint,
    report: Callable[[str], None],
    profile: Profile | None = None,
    lead: str = "loss",
) -> Progress:
    """Train and score epoch by epoch, until all are done or none got better for long; leave the best epoch's weights.

    Every epoch depends on the seed and its number alone, and its end is a checkpoint, so a training that was killed
    and resumed ends with the weights of one that was not.

    Args:
        network: what is trained.
        scored: its like in float32, which is given the moving average of its weights after each epoch.
        optimizer: of `network`.
        batches: of an epoch.
        learn: trains for the epoch of this number, tells how well it goes after each batch, and returns the figures of
            the whole.
        judge: scores `scored`.
        config: epochs and patience.
        checkpoint: goes on where it stopped.
        report: takes lines for people.
        profile: takes the time.
        lead: the name of what `learn` tells after each batch, one of its figures.

    Returns:
        the epochs' figures and which was best.
    """
    profile = profile or Profile()
    network.compile(optimizer)  # only so that checkpoints hold the optimiser's state too
    progress = checkpoint.resume(network)
    if progress.epoch:
        report(f"going on after epoch {progress.epoch} of {config.epochs}")
    while progress.epoch < config.epochs and progress.epoch - progress.best_epoch < config.patience:
        with profile.epoch():
            epoch = progress.epoch + 1
            began = time.monotonic()
            with tqdm(total=batches, desc=f"epoch {epoch}/{config.epochs}", unit="batch", leave=False) as bar:

                def seen(value: float, bar: tqdm = bar) -> None:
                    bar.set_postfix({lead: f"{value:.3f}"}, refresh=False)
                    bar.update()

                learned = learn(epoch, seen)
            scored.set_weights(averaged_weights(network, optimizer))
            figures, examples = judge()
            if not np.isfinite([*learned.values(), figures["dev_loss"]]).all():
                raise CaptionerError(
                    f"training diverged in epoch {epoch}: the {lead} is {learned[lead]}, the loss on dev "
                    f"{figures['dev_loss']}; lower --learning-rate, or the rate of this stage"
                )
            row = {
                "epoch": epoch,
                "seconds": round(time.monotonic() - began, 1),
                "learning_rate": float(keras.ops.convert_to_numpy(optimizer.learning_rate)),
                **learned,
                **figures,
            }
            improved = better(row, progress.history[progress.best_epoch - 1] if progress.best_epoch else None)
            progress.epoch, progress.history = epoch, [*progress.history, row]
            if improved:
                progress.best_epoch, progress.best_score = epoch, row["cider"]
            with profile.phase("save a checkpoint"):
                checkpoint.save(network, scored.get_weights() if improved else None, progress)
            report(line(row, lead, config.epochs, improved))
            for example in examples:
                report(f"    {example}")
    if progress.epoch:
        checkpoint.load_best(network, progress)
    return progress


def better(row: dict[str, float], best: dict[str, float] | None) -> bool:
    """Compare by dev CIDEr-D, and where that is equal, as on a handful of photos, by the loss on dev."""
    return best is None or (row["cider"], -row["dev_loss"]) > (best["cider"], -best["dev_loss"])


def line(row: dict[str, float], lead: str, epochs: int, improved: bool) -> str:
    """Tell of an epoch in a line."""
    return (
        f"epoch {row['epoch']}/{epochs} {row['seconds']:.0f} s: {lead} {row[lead]:.3f}, dev {row['dev_loss']:.3f}, "
        f"BLEU {row['bleu1']:.1f} {row['bleu2']:.1f} {row['bleu3']:.1f} {row['bleu4']:.1f}, "
        f"ROUGE-L {row['rouge_l']:.1f}, CIDEr-D {row['cider']:.1f}{' (best)' if improved else ''}"
    )


def samples(count: int) -> list[int]:
    """Return the numbers of three photos, the same every epoch, spread over the split."""
    return sorted({0, count // 3, 2 * count // 3})

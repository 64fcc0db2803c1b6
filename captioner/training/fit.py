"""The training itself: epochs of cross-entropy, each followed by captions of the dev photos and their scores."""

import time
from collections.abc import Callable

import keras
import numpy as np
from tqdm import tqdm

from captioner.config import DecodingConfig, TrainingConfig
from captioner.errors import CaptionerError
from captioner.metrics.cider import CiderD
from captioner.metrics.score import score
from captioner.models.captioner import CaptionModel
from captioner.text import Vocabulary
from captioner.training.batches import CaptionBatches
from captioner.training.checkpoint import Checkpoint, Progress
from captioner.training.evaluation import caption_split
from captioner.training.optimizer import averaged_weights, make_optimizer
from captioner.training.precision import in_float32
from captioner.training.profile import Profile
from captioner.training.split import Split
from captioner.training.step import LossStep

EPOCH_BEAM_WIDTH = 3
"""Beam width of the scores between epochs: close to the final one, at less than its time."""


def fit(
    network: CaptionModel,
    vocabulary: Vocabulary,
    train: Split,
    dev: Split,
    config: TrainingConfig,
    decoding: DecodingConfig,
    checkpoint: Checkpoint,
    report: Callable[[str], None],
    profile: Profile | None = None,
) -> Progress:
    """Train `network` in place and leave it with the weights of the epoch that was best by dev CIDEr-D.

    Every epoch depends on the seed and its number alone, and its end is a checkpoint, so a training that was killed
    and resumed ends with the weights of one that was not.

    Returns:
        the epochs' figures and which was best.
    """
    encoded = [[vocabulary.encode(words, decoding.max_length) for words in each] for each in train.captions]
    batches = CaptionBatches(train.features, train.rows, encoded, config.batch_size)
    dev_encoded = [[vocabulary.encode(words, decoding.max_length) for words in each] for each in dev.captions]
    dev_batches = CaptionBatches(dev.features, dev.rows, dev_encoded, config.batch_size)
    profile = profile or Profile()
    optimizer = make_optimizer(network, config, config.epochs * len(batches))
    network.compile(optimizer)  # only so that checkpoints hold the optimiser's state too
    scored = in_float32(network)
    training = LossStep(network, config.label_smoothing, optimizer, profile)
    measuring = LossStep(scored, config.label_smoothing, profile=profile)
    progress = checkpoint.resume(network)
    if progress.epoch:
        report(f"going on after epoch {progress.epoch} of {config.epochs}")
    cider = CiderD(dev.captions)
    search = DecodingConfig(EPOCH_BEAM_WIDTH, decoding.length_penalty, decoding.max_length)

    while progress.epoch < config.epochs and progress.epoch - progress.best_epoch < config.patience:
        with profile.epoch():
            epoch = progress.epoch + 1
            began = time.monotonic()
            network.reseed(config.seed, epoch)
            with tqdm(total=len(batches), desc=f"epoch {epoch}/{config.epochs}", unit="batch", leave=False) as bar:

                def seen(loss: float, bar: tqdm = bar) -> None:
                    bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
                    bar.update()

                loss, cross_entropy = training.over(batches.shuffled(config.seed, epoch), seen)
            scored.set_weights(averaged_weights(network, optimizer))
            dev_loss, dev_cross_entropy = measuring.over(dev_batches.in_order())
            if not np.isfinite([loss, dev_loss]).all():
                raise CaptionerError(
                    f"training diverged in epoch {epoch}: the loss is {loss}, on dev {dev_loss}; lower --learning-rate"
                )
            with profile.phase("caption the dev photos"):
                captions = [vocabulary.decode(beam[0].tokens) for beam in caption_split(scored, dev, search)]
            with profile.phase("score the captions"):
                scores = score(captions, dev.captions, cider)
            row = {
                "epoch": epoch,
                "seconds": round(time.monotonic() - began, 1),
                "learning_rate": float(keras.ops.convert_to_numpy(optimizer.learning_rate)),
                "loss": loss,
                "cross_entropy": cross_entropy,
                "dev_loss": dev_loss,
                "dev_cross_entropy": dev_cross_entropy,
                **scores,
                "distinct_words": len({word for words in captions for word in words}),
                "mean_length": float(np.mean([len(words) for words in captions])),
            }
            improved = better(row, progress.history[progress.best_epoch - 1] if progress.best_epoch else None)
            progress.epoch, progress.history = epoch, [*progress.history, row]
            if improved:
                progress.best_epoch, progress.best_score = epoch, scores["cider"]
            with profile.phase("save a checkpoint"):
                checkpoint.save(network, scored.get_weights() if improved else None, progress)
            report(line(row, config.epochs, improved))
            for number in samples(len(captions)):
                report(f"    {dev.names[number]}: {' '.join(captions[number])}")
    checkpoint.load_best(network, progress)
    return progress


def better(row: dict[str, float], best: dict[str, float] | None) -> bool:
    """Compare by dev CIDEr-D, and where that is equal, as on a handful of photos, by the loss on dev."""
    return best is None or (row["cider"], -row["dev_loss"]) > (best["cider"], -best["dev_loss"])


def line(row: dict[str, float], epochs: int, improved: bool) -> str:
    """Tell of an epoch in a line."""
    return (
        f"epoch {row['epoch']}/{epochs} {row['seconds']:.0f} s: loss {row['loss']:.3f}, dev {row['dev_loss']:.3f}, "
        f"BLEU {row['bleu1']:.1f} {row['bleu2']:.1f} {row['bleu3']:.1f} {row['bleu4']:.1f}, "
        f"ROUGE-L {row['rouge_l']:.1f}, CIDEr-D {row['cider']:.1f}{' (best)' if improved else ''}"
    )


def samples(count: int) -> list[int]:
    """Return the numbers of three photos, the same every epoch, spread over the split."""
    return sorted({0, count // 3, 2 * count // 3})

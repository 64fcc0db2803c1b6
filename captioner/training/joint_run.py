"""One training of a compact encoder with its decoder, from photos and captions to a model directory."""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from captioner.config import ImitationConfig, ModelConfig, TrainingConfig
from captioner.data.dataset import CaptionDataset, Example
from captioner.errors import CaptionerError
from captioner.export.compact import save_compact
from captioner.models.compact import CHANNELS
from captioner.models.directory import SavedModel
from captioner.models.encoder import weights_fingerprint
from captioner.models.folding import folded, rounded, unfold
from captioner.models.networks import load_networks
from captioner.models.photo_model import PhotoModel
from captioner.text import Vocabulary
from captioner.training.captions import fitted, read_captions, report_cut
from captioner.training.checkpoint import Checkpoint, open_run
from captioner.training.evaluation import describe_captions, score_captions, tune_decoding
from captioner.training.imitation import SAMPLE, Unexplained, begin_with_the_mean, imitate, make_targets
from captioner.training.joint import Photos, Teaching, fit_jointly, photo_reader, read_photos
from captioner.training.pictures import Pictures, read_pixels, seen
from captioner.training.precision import choose_precision
from captioner.training.run import flat_settings, make_vocabulary, word_counts, write_story
from captioner.training.views import Views

STORED = 4 / 3
"""How many times as large as the encoder's input the training photos are kept: parts of them are still sharp."""

FAMILIAR = 128
"""Training photos by which a folded encoder is unfolded, to be trained on."""


@dataclass(frozen=True)
class JointRun:
    """What to train, on what, and where to.

    Attributes:
        dataset: photos and captions, with a train and a dev split; no other photo is looked at.
        model: the sizes; those that follow from the data are filled in.
        training: of the captions; what the imitation has no setting of its own for holds for both.
        imitation: what a teacher adds.
        output: the model directory to write.
        teacher: the directory of a model whose encoder is imitated, and whose decoder is where ours begins.
        encoder_weights: of the teacher's encoder: a Keras weights file, or "imagenet".
        init_from: the directory of a compact model to start from.
    """

    dataset: CaptionDataset
    model: ModelConfig
    training: TrainingConfig
    imitation: ImitationConfig
    output: Path
    teacher: Path | None = None
    encoder_weights: str = "imagenet"
    init_from: Path | None = None

    def settings(self) -> dict[str, Any]:
        """Return what decides the outcome, flat, by the names that users know."""
        return flat_settings(
            self.dataset,
            self.model,
            self.training,
            self.init_from,
            **dataclasses.asdict(self.imitation),
            teacher=str(self.teacher) if self.teacher else None,
        )


def train_jointly(run: JointRun, *, resume: bool, report: Callable[[str], None]) -> dict[str, Any]:
    """Train a compact encoder and its decoder, and write their directory; go on with a run that was stopped.

    With a teacher the encoder first learns to see what the teacher sees, then both learn the captions; without one they
    learn from the captions alone.

    Args:
        run: what to train.
        resume: whether to continue what lies in `run.output`; otherwise it is started over.
        report: takes lines for people.

    Returns:
        the metrics on the dev split, as written to metrics.json.

    Raises:
        UsageError: `run.output` holds a run with other settings.
        CaptionerError: no photo, weights or room on the disk.
    """
    run = replace(run, training=replace(run.training, precision=choose_precision(run.training.precision)))
    settings = run.settings()
    checkpoint, metrics = open_run(run.output, settings, resume=resume, report=report)
    if metrics is not None:
        return metrics
    imitation_checkpoint = checkpoint.stage("imitation")
    began = time.monotonic()
    run.dataset.split("train"), run.dataset.split("dev")
    checkpoint.directory.mkdir(parents=True, exist_ok=True)  # where it cannot be written to, say so before the work
    base = load_networks(run.init_from) if run.init_from else None
    teacher = load_networks(run.teacher, run.encoder_weights) if run.teacher else None
    if teacher:
        _refuse_other_grid(run, teacher[0].config)
        settings["encoder_weights"] = weights_fingerprint(teacher[1])  # both checkpoints hold these settings
        settings["teacher_weights"] = weights_fingerprint(teacher[0].network)

    size = run.model.encoder.image_size
    examples = {name: run.dataset.split(name) for name in ("train", "dev")}
    views = Views.draw(len(examples["train"]), run.training.views, run.training.seed) if teacher else None
    train = _read(examples["train"], "train", round(size * STORED), size, views, report)
    dev = _read(examples["dev"], "dev", size, size, None, report)
    sentences = [words for captions in train.captions for words in captions]
    known = base[0] if base else teacher[0] if teacher else None
    vocabulary = make_vocabulary(known, sentences, run.training.min_count)
    if teacher:
        _compare_words(run, vocabulary, teacher[0].vocabulary, report)
    decoder = replace(
        run.model.decoder, vocabulary_size=len(vocabulary), locations=(size // 16 - 1) ** 2, channels=CHANNELS
    )
    config = replace(run.model, decoder=decoder, decoding=fitted(run.model.decoding, sentences))
    report_cut(sentences, config.decoding.max_length, report)
    report(
        f"{len(train.rows)} photos and {len(sentences)} captions to train on, {len(dev.rows)} photos to score on, "
        f"{len(vocabulary)} words"
    )
    keras.utils.set_random_seed(run.training.seed)
    network = PhotoModel(config, dtype=run.training.precision)
    network.captioner.set_word_frequencies(word_counts(vocabulary, sentences))
    if base:
        _start_from(network, base, train)
    teaching: Teaching | None = None
    imitated: list[dict[str, float]] = []
    if teacher and views:
        if not base:
            network.take_decoder(teacher[0].network.named_weights())
        teaching, imitated = _learn_to_see(
            run, network, train, dev, examples, teacher, views, imitation_checkpoint, report
        )
    else:
        report("no --teacher: encoder and decoder learn from the captions alone")
    progress = fit_jointly(
        network,
        vocabulary,
        train,
        dev,
        run.training,
        run.imitation.captions_per_photo,
        config.decoding,
        teaching,
        checkpoint,
        report,
    )
    report("choosing beam width and length penalty on dev")
    network = network.in_float32()
    network.captioner.adjust_logits(word_counts(vocabulary, sentences), run.training.logit_adjustment)
    # What is scored is what is kept: without batch normalisation, and in half precision.
    encoder, captioner = folded(network.encoder), rounded(network.captioner)
    split = read_photos(photo_reader(encoder), dev)
    decoding, captions = tune_decoding(captioner, vocabulary, split, config.decoding)
    config = replace(config, decoding=decoding)
    metrics = {
        **score_captions(captions, split, "dev", decoding),
        **describe_captions(captions, split, sentences),
        "best_epoch": progress.best_epoch,
        "epochs": progress.epoch,
        "parameters": captioner.count_params(),
        "encoder_parameters": encoder.count_params(),
        "training_seconds": round(sum(row["seconds"] for row in [*imitated, *progress.history])),
        "imitation": imitated,
        "settings": settings,
    }
    save_compact(run.output, config, vocabulary, captioner, encoder)
    write_story(run.output, run.dataset, config, run.training, progress, metrics)
    checkpoint.remove()
    report(f"{run.output} is finished after {(time.monotonic() - began) / 60:.0f} minutes")
    return metrics


def _refuse_other_grid(run: JointRun, teacher: ModelConfig) -> None:
    """Raise CaptionerError where there is not a place for each of the teacher's, of as many numbers."""
    ours = ((run.model.encoder.image_size // 16 - 1) ** 2, run.model.decoder.hidden_size)
    theirs = (teacher.decoder.locations, teacher.decoder.hidden_size)
    if ours != theirs:
        raise CaptionerError(
            f"--teacher {run.teacher}: sees {theirs[0]} places of {theirs[1]} numbers, but this encoder would give "
            f"{ours[0]} of {ours[1]}; leave out --image-size and --hidden-size, or choose another teacher"
        )


def _compare_words(run: JointRun, ours: Vocabulary, theirs: Vocabulary, report: Callable[[str], None]) -> None:
    """Raise CaptionerError where words have other numbers for the teacher; report how many it does not know."""
    if ours.tokens[: len(theirs)] != theirs.tokens:
        raise CaptionerError(
            f"--teacher {run.teacher}: expected words that --init-from {run.init_from} begins with, found "
            f"{len(theirs)} others; choose two models with the same words, or leave out one"
        )
    if len(ours) > len(theirs):
        report(f"{len(ours) - len(theirs)} words that the teacher does not know are learned from the captions alone")


def _read(
    examples: tuple[Example, ...],
    name: str,
    stored: int,
    size: int,
    views: Views | None,
    report: Callable[[str], None],
) -> Photos:
    """Read a split; photos that cannot be used are reported and left out."""
    pixels, bad = read_pixels([example.image for example in examples], stored)
    for reason in list(bad.values())[:5]:
        report(f"left out: {reason}")
    if len(bad) > 5:
        report(f"left out: {len(bad) - 5} more photos that cannot be read")
    kept = []
    for row, (example, captions) in enumerate(zip(examples, read_captions(examples, report), strict=True)):
        if row not in bad and captions:
            kept.append((row, captions, example.image.name))
    if not kept:
        raise CaptionerError(f"no photo of the {name} split can be used; look at the reasons above")
    rows, sentences, names = zip(*kept, strict=True)
    return Photos(Pictures(pixels, size, views), np.array(rows), sentences, names)


def _start_from(network: PhotoModel, base: tuple[SavedModel, keras.Model], train: Photos) -> None:
    """Take over both networks of a compact model; of words that it does not know ours stay."""
    saved, encoder = base
    network.take_decoder(saved.network.named_weights())
    network.captioner.decoder.place.set_weights(saved.network.decoder.place.get_weights())
    look = train.pictures.look(train.rows[:FAMILIAR], np.random.default_rng(0))
    unfold(encoder, network.encoder, seen(look.images, look.turns, look.colours))


def _learn_to_see(
    run: JointRun,
    network: PhotoModel,
    train: Photos,
    dev: Photos,
    examples: dict[str, tuple[Example, ...]],
    teacher: tuple[SavedModel, keras.Model],
    views: Views,
    checkpoint: Checkpoint,
    report: Callable[[str], None],
) -> tuple[Teaching, list[dict[str, float]]]:
    """Let the encoder imitate the teacher; return what the training on captions goes on to learn from it."""
    saved, encoder = teacher
    layer = saved.config.encoder.feature_layer
    whole = Views.draw(len(examples["dev"]), 1, 0)
    targets, dev_targets = (
        make_targets([example.image for example in examples[name]], each, encoder, layer, saved.network)
        for name, each in (("train", views), ("dev", whole))
    )
    unexplained = Unexplained(targets.values[train.rows[:SAMPLE], 0], saved.network)
    if not run.init_from:
        begin_with_the_mean(network, unexplained)
    progress = imitate(
        network,
        train.pictures,
        train.rows,
        targets,
        (dev.pictures.pixels[dev.rows], dev_targets.values[dev.rows, 0]),
        unexplained,
        run.training,
        run.imitation,
        checkpoint,
        report,
    )
    # In half precision, as the pupil's decoder computes in training.
    words = type(saved.network).from_config({**saved.network.get_config(), "dtype": run.training.precision})
    words.set_weights(saved.network.get_weights())
    return Teaching(words, targets, unexplained, run.imitation), progress

"""Fit what a model knows beside its networks: what people say of such photos, and how far to trust its captions."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from captioner.data.dataset import ENOUGH_PHOTOS, CaptionDataset, Example
from captioner.decoding.captions import generate
from captioner.decoding.consensus import chosen
from captioner.decoding.hypothesis import Hypothesis, length_normalised
from captioner.errors import CaptionerError, PhotoError
from captioner.library import Captioner
from captioner.metrics.content_words import share_confirmed
from captioner.model_files.calibration import standardised
from captioner.model_files.directory import CALIBRATION, CaptionerDirectory
from captioner.model_files.ngram_regression import NgramRegression
from captioner.runtime.captioner import AT_ONCE
from captioner.system.progress import progress_bar
from captioner.text import Vocabulary, normalise
from captioner.training.fitting.calibration import DevCaptions, fit_calibration, principal_directions
from captioner.training.fitting.ngram_regression import NgramFit, choose_regression

MOST_PHOTOS = 6000
"""Training photos that are read, spread evenly over all that there are."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Photos:
    """What was read of some photos.

    Attributes:
        means: of the features over the grid (N, D).
        captions: of each, as words.
        beams: what the search found for each, where it was asked for.
    """

    means: np.ndarray
    captions: Sequence[Sequence[Sequence[str]]]
    beams: Sequence[Sequence[Hypothesis]] = ()


def calibrate(directory: Path, dataset: CaptionDataset, encoder_weights: str) -> bool:
    """Add consensus, confidence and familiarity to a captioning model, with the encoder that prediction uses.

    Args:
        directory: the model's.
        dataset: what it was trained on.
        encoder_weights: a file with InceptionV3's weights, or "imagenet" for Keras's own.

    Returns:
        whether it was done; it is not with fewer than 100 dev photos.

    Raises:
        CaptionerError: the directory, the weights, or too many photos cannot be used.
        OSError: the directory cannot be written to.
    """
    train, dev = dataset.split("train"), dataset.split("dev")
    if len(dev) < ENOUGH_PHOTOS:
        log.info("%d dev photos are too few to fit confidence and familiarity, which takes 100", len(dev))
        return False
    log.info("fitting consensus, confidence and familiarity")
    captioner = Captioner.load(directory, encoder_weights, consensus=False)
    searched = _read_dev(captioner, dev)
    numbers = np.linspace(0, len(train) - 1, min(MOST_PHOTOS, len(train))).round().astype(int)
    known = _read_train(captioner, [train[number] for number in numbers])
    directions = principal_directions(known.means)
    regression, beams = _with_consensus(known, searched, directions, captioner.vocabulary)
    captions = _judged(beams, searched.captions, captioner)
    calibration = fit_calibration(directions, searched.means, captions)
    CaptionerDirectory.read(directory).calibrate(calibration, regression)
    return True


def calibrate_trained(
    directory: Path, dataset: CaptionDataset, encoder_weights: str, parent: Path | None = None
) -> None:
    """Calibrate a model once, at the end of its training; with too few dev photos it keeps its parent's calibration.

    The model is finished by then, so photos that can no longer be read only prevent the calibration, which is logged.

    Args:
        directory: the model's.
        dataset: what it was trained on.
        encoder_weights: as above.
        parent: the model that the training started from.

    Raises:
        CaptionerError: the directory cannot be read.
        OSError: the directory cannot be written to.
    """
    model = CaptionerDirectory.read(directory)
    try:
        if CALIBRATION in model.manifest or calibrate(directory, dataset, encoder_weights) or parent is None:
            return
    except CaptionerError as error:
        log.warning(f"{error}. Then fit the confidence: `python -m captioner calibrate --model {directory}`")
        return
    before = CaptionerDirectory.read(parent)
    if _encoder(before) == _encoder(model) and (kept := before.calibration()):
        log.info("keeping the confidence and familiarity of %s", parent)
        model.calibrate(kept, before.ngram_regression())


def _encoder(model: CaptionerDirectory) -> tuple[object, ...]:
    """Return what decides what a model sees in a photo."""
    return model.config.encoder, model.tuned_checksum, model.manifest.get("encoder.tflite") if model.is_compact else ""


def _read_train(captioner: Captioner, examples: Sequence[Example]) -> _Photos:
    """Read training photos; those that cannot be read are left out.

    Raises:
        CaptionerError: none can be read.
    """
    captions = {example.image: [normalise(each) for each in example.captions] for example in examples}
    means, kept = [], []
    with progress_bar(
        captioner.features(captions), total=len(captions), desc="train", unit="photo", leave=False
    ) as bar:
        for path, found in bar:
            if not isinstance(found, PhotoError):
                means.append(found.mean(axis=0))
                kept.append(captions[path])
    if not means:
        raise CaptionerError(f"none of {len(captions)} training photos can be read; look whether they are still there")
    return _Photos(np.stack(means), kept)


def _read_dev(captioner: Captioner, examples: Sequence[Example]) -> _Photos:
    """Read dev photos that can be read, and search for their captions with the network alone.

    Raises:
        CaptionerError: fewer can be read than it takes.
    """
    captions = {example.image: [normalise(each) for each in example.captions] for example in examples}
    means, kept, beams = [], [], []
    with progress_bar(captioner.features(captions), total=len(captions), desc="dev", unit="photo", leave=False) as bar:
        read = ((path, found) for path, found in bar if not isinstance(found, PhotoError))
        while group := list(islice(read, AT_ONCE)):
            paths, features = zip(*group, strict=True)
            found = generate(captioner.network, np.stack(features), captioner.decoding)
            beams += [[replace(each, attention=None) for each in some] for some in found]
            means += [each.mean(axis=0) for each in features]
            kept += [captions[path] for path in paths]
    if len(means) < ENOUGH_PHOTOS:
        raise CaptionerError(
            f"only {len(means)} of {len(captions)} dev photos can be read, but fitting the confidence needs "
            f"{ENOUGH_PHOTOS}; check that the files are still there"
        )
    return _Photos(np.stack(means), kept, beams)


def _with_consensus(
    train: _Photos, dev: _Photos, directions: Mapping[str, np.ndarray], vocabulary: Vocabulary
) -> tuple[NgramRegression | None, Sequence[Sequence[Hypothesis]]]:
    """Return what makes captions of dev better, if anything does, and the captions that are chosen with it."""
    photos = standardised(dev.means, directions)
    fit = NgramFit(train.captions, standardised(train.means, directions), set(vocabulary.tokens))
    regression = choose_regression(fit, dev.beams, photos, vocabulary, dev.captions)
    if regression is None:
        log.info("choosing by consensus does not improve the dev captions, so the model does without it")
        return None, dev.beams
    found = zip(dev.beams, regression.factors(photos), strict=True)
    return regression, [chosen(*each, regression, vocabulary) for each in found]


def _judged(
    beams: Sequence[Sequence[Hypothesis]], references: Sequence[Sequence[Sequence[str]]], captioner: Captioner
) -> DevCaptions:
    """Return how sure the best captions are, and how right."""
    penalty = captioner.decoding.length_penalty
    best = [beam[0] for beam in beams]
    scores = [length_normalised(each.log_prob, each.length, penalty) for each in best]
    said = [captioner.vocabulary.decode(each.tokens) for each in best]
    shares = [share_confirmed(*each) for each in zip(said, references, strict=True)]
    return DevCaptions(np.array(scores), np.array(shares), penalty)

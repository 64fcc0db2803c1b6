"""Teach a model to know its own doubt: caption dev photos as prediction does, and see how right it was."""

import logging
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from captioner.data.calibration import Calibration
from captioner.data.dataset import ENOUGH_PHOTOS, CaptionDataset, Example
from captioner.data.model_directory import CALIBRATION, CaptionerDirectory
from captioner.data.photos import PhotoError
from captioner.decoding.captions import generate
from captioner.decoding.hypothesis import length_normalised
from captioner.errors import CaptionerError
from captioner.library import Captioner
from captioner.metrics.content_words import share_confirmed
from captioner.progress import progress_bar
from captioner.runtime.captioner import AT_ONCE
from captioner.text import normalise
from captioner.training.calibration import DevCaptions, fit_calibration

MOST_PHOTOS = 6000
"""Training photos that are read, spread evenly over all that there are."""

log = logging.getLogger(__name__)


def calibrate(directory: Path, dataset: CaptionDataset, encoder_weights: str) -> bool:
    """Add confidence and familiarity to a captioning model, fitted with the encoder that prediction uses by default.

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
    log.info("fitting confidence and familiarity")
    captioner = Captioner.load(directory, encoder_weights)
    numbers = np.linspace(0, len(train) - 1, min(MOST_PHOTOS, len(train))).round().astype(int)
    dev_means, captions = _read_dev(captioner, dev)
    means = _read_means(captioner, [train[number] for number in numbers])
    CaptionerDirectory.read(directory).calibrate(fit_calibration(means, dev_means, captions))
    return True


def calibrate_trained(
    directory: Path, dataset: CaptionDataset, encoder_weights: str, parent: Path | None = None
) -> None:
    """Do so at the end of a training, once; what is known of too few dev photos the model takes from its parent.

    Args:
        directory: the model's.
        dataset: what it was trained on.
        encoder_weights: as above.
        parent: the model that the training started from.

    Raises:
        CaptionerError: as above.
        OSError: the directory cannot be written to.
    """
    model = CaptionerDirectory.read(directory)
    if CALIBRATION in model.manifest:
        return
    if not calibrate(directory, dataset, encoder_weights) and parent and (kept := _kept(model, parent)):
        log.info("those of %s stay", parent)
        model.calibrate(kept)


def _kept(model: CaptionerDirectory, path: Path) -> Calibration | None:
    """Return what a parent knows of its doubt, where it reads photos with the same encoder."""
    parent = CaptionerDirectory.read(path)
    same = (parent.config.encoder, _encoder_files(parent)) == (model.config.encoder, _encoder_files(model))
    return parent.calibration() if same else None


def _encoder_files(model: CaptionerDirectory) -> tuple[str, str]:
    return model.tuned_checksum, model.manifest.get("encoder.tflite", "") if model.is_compact else ""


def _read_means(captioner: Captioner, examples: Sequence[Example]) -> np.ndarray:
    """Return the means of the photos' features over the grid (N, D); photos that cannot be read are left out.

    Raises:
        CaptionerError: none can be read.
    """
    paths = [example.image for example in examples]
    with progress_bar(captioner.features(paths), total=len(paths), desc="train", unit="photo", leave=False) as bar:
        means = [found.mean(axis=0) for _, found in bar if not isinstance(found, PhotoError)]
    if not means:
        raise CaptionerError(f"none of {len(paths)} training photos can be read; look whether they are still there")
    return np.stack(means)


def _read_dev(captioner: Captioner, examples: Sequence[Example]) -> tuple[np.ndarray, DevCaptions]:
    """Return the means (N, D) of dev photos that can be read, and their captions.

    Raises:
        CaptionerError: fewer can be read than it takes.
    """
    captions = {example.image: [normalise(each) for each in example.captions] for example in examples}
    decoding, means, scores, shares = captioner.decoding, [], [], []
    with progress_bar(captioner.features(captions), total=len(captions), desc="dev", unit="photo", leave=False) as bar:
        read = ((path, found) for path, found in bar if not isinstance(found, PhotoError))
        while group := list(islice(read, AT_ONCE)):
            paths, features = zip(*group, strict=True)
            for path, found in zip(paths, generate(captioner.network, np.stack(features), decoding), strict=True):
                best = found[0]
                scores.append(length_normalised(best.log_prob, best.length, decoding.length_penalty))
                shares.append(share_confirmed(captioner.vocabulary.decode(best.tokens), captions[path]))
            means += [each.mean(axis=0) for each in features]
    if len(means) < ENOUGH_PHOTOS:
        raise CaptionerError(
            f"only {len(means)} of {len(captions)} dev photos can be read, but confidence takes {ENOUGH_PHOTOS}; look "
            "whether they are still there"
        )
    return np.stack(means), DevCaptions(np.array(scores), np.array(shares), decoding.length_penalty)

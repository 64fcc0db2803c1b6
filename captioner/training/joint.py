"""Encoder and decoder learn together: captions, what a teacher says of them, and what it sees."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from captioner.ahead import ahead
from captioner.config import DecodingConfig, ImitationConfig, TrainingConfig
from captioner.models.captioner import CaptionModel
from captioner.models.photo_model import PhotoModel
from captioner.text import Vocabulary
from captioner.training.batches import CaptionBatches
from captioner.training.checkpoint import Checkpoint, Progress
from captioner.training.epochs import Judge, run_epochs
from captioner.training.graphs import Graphs
from captioner.training.imitation import Targets, Unexplained, as_seen
from captioner.training.loss import SmoothedCrossEntropy
from captioner.training.optimizer import make_optimizer
from captioner.training.pictures import Pictures, seen
from captioner.training.profile import Profile
from captioner.training.reader import Reader
from captioner.training.shards import shard_count, shards
from captioner.training.split import Split, encode_captions

Batch = dict[str, np.ndarray]


@dataclass(frozen=True)
class Teaching:
    """A teacher for the training on captions.

    Attributes:
        teacher: a decoder whose words have the numbers that the pupil's have, though there may be fewer.
        targets: what it sees in the views of the training photos.
        unexplained: the measure of the imitation.
        config: how much the teacher counts.
    """

    teacher: CaptionModel
    targets: Targets
    unexplained: Unexplained
    config: ImitationConfig


@dataclass(frozen=True)
class Photos:
    """A split as the training on captions reads it.

    Attributes:
        pictures: the photos; those that cannot be used have rows too.
        rows: the rows of the photos that can (M,).
        captions: of each photo, its captions as lists of words.
        names: file names, for samples.
    """

    pictures: Pictures
    rows: np.ndarray
    captions: Sequence[Sequence[Sequence[str]]]
    names: Sequence[str]


class JointStep:
    """One step of the optimiser for encoder and decoder, compiled once for each caption length.

    The loss is cross-entropy against smoothed labels, of which the teacher's probabilities take a share (Hinton et al.
    2015), plus the unexplained share of what the teacher sees, where there is a teacher.

    Args:
        network: what is trained.
        label_smoothing: see `SmoothedCrossEntropy`.
        optimizer: built for all that `network` trains.
        teaching: the teacher, if there is one.
    """

    def __init__(
        self,
        network: PhotoModel,
        label_smoothing: float,
        optimizer: keras.optimizers.Optimizer,
        teaching: Teaching | None,
    ) -> None:
        self.network = network
        self.optimizer = optimizer
        self.teaching = teaching
        self._smoothed = SmoothedCrossEntropy(label_smoothing, reduction=None)
        self._plain = SmoothedCrossEntropy(0.0, reduction=None)
        self._graphs = Graphs(self._run)

    def over(self, batches: Iterator[Batch], seen_loss: Callable[[float], None]) -> tuple[float, float]:
        """Train on all batches; after each, `seen_loss` is told the mean loss so far.

        Returns:
            the mean over all words of the smoothed cross-entropy and of the plain one, in nats.
        """
        sums, words = np.zeros(2), 0
        for batch in batches:
            sums += self._graphs.of(batch)(batch).numpy()
            words += len(batch["next"])
            seen_loss(sums[0] / words)
        return float(sums[0] / words), float(sums[1] / words)

    def _run(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        images = tf.cast(tf.shape(batch["tokens"])[0], tf.float32)
        words = tf.cast(tf.size(batch["next"]), tf.float32)
        with tf.GradientTape() as tape:
            learned, smoothed, plain, unexplained = self._sums(batch)
            loss = learned / words
            if self.teaching:
                loss += self.teaching.config.imitation_weight * unexplained / images
        variables = self.network.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return tf.stack([smoothed, plain])

    def _sums(self, batch: dict[str, tf.Tensor]) -> list[tf.Tensor]:
        """Return sums over the words, of what is learned and of both cross-entropies, and of what is unexplained."""
        sums = []
        given = {name: value for name, value in batch.items() if name != "next"}
        for own, (following,) in shards(given, batch["next"]):
            images = seen(own["images"], own["turns"], own["colours"])
            places = self.network.places(images, training=True)  # (B, L, U)
            logits = self.network.predict_words(
                places, own["tokens"], own["positions"], training=True, live=own["live"]
            )  # (N, V)
            smoothed, plain = (tf.reduce_sum(loss(following, logits)) for loss in (self._smoothed, self._plain))
            learned, unexplained = smoothed, tf.zeros([])
            if self.teaching:
                share = self.teaching.config.distillation
                said = self._said(own)  # (N, V)
                learned = (1 - share) * smoothed + share * tf.reduce_sum(
                    tf.nn.softmax_cross_entropy_with_logits(tf.stop_gradient(said), logits)
                )
                unexplained = tf.reduce_sum(self.teaching.unexplained.shares(places, own["wanted"]))
            sums.append([learned, smoothed, plain, unexplained])
        return [tf.add_n(each) for each in zip(*sums, strict=True)]

    def _said(self, own: dict[str, Any]) -> tf.Tensor:
        """Return the teacher's probabilities (N, V) of the next words, given what it sees (B, L, U)."""
        assert self.teaching
        decoder, words = self.teaching.teacher.decoder, self.network.config.decoder.vocabulary_size
        known, tokens = self.teaching.teacher.config.vocabulary_size, own["tokens"]
        if words > known:  # words that the teacher has never heard
            tokens = tf.where(tokens < known, tokens, Vocabulary.unknown)
        memory = decoder.remember(tf.cast(own["wanted"], decoder.compute_dtype))
        logits = decoder.predict(memory, tokens, own["positions"], live=own["live"])
        return tf.pad(tf.nn.softmax(logits), [[0, 0], [0, words - known]])


def fit_jointly(
    network: PhotoModel,
    vocabulary: Vocabulary,
    train: Photos,
    dev: Photos,
    config: TrainingConfig,
    captions_per_photo: int,
    decoding: DecodingConfig,
    teaching: Teaching | None,
    checkpoint: Checkpoint,
    report: Callable[[str], None],
) -> Progress:
    """Train encoder and decoder in place and leave them with the weights of the epoch that was best by dev CIDEr-D.

    Returns:
        the epochs' figures and which was best.
    """

    # The rows stand in for the features: what the encoder is to see is only looked up when a batch is made.
    numbers = np.arange(len(train.pictures.pixels))
    encoded = encode_captions(train.captions, vocabulary, decoding.max_length)
    batches = CaptionBatches(
        numbers, train.rows, encoded, config.batch_size, captions_per_photo, least=shard_count()
    )  # no part of a batch without a photo: the norms know no mean of none
    optimizer = make_optimizer(network, config, config.epochs * len(batches))
    step = JointStep(network, config.label_smoothing, optimizer, teaching)

    def looked(epoch: int) -> Iterator[Batch]:
        def make(item: tuple[int, tuple[dict[str, np.ndarray], np.ndarray]]) -> Batch:
            number, (inputs, targets) = item
            rows = inputs["features"]
            look = train.pictures.look(rows, np.random.default_rng([config.seed, epoch, number]))
            batch = {
                "images": look.images,
                "turns": look.turns,
                "colours": look.colours,
                "tokens": inputs["tokens"],
                "positions": inputs["positions"],
                "next": targets,
            }
            return batch | ({"wanted": teaching.targets.of(rows, look)} if teaching else {})

        return ahead(make, enumerate(batches.shuffled(config.seed, epoch)))

    def learn(epoch: int, seen_loss: Callable[[float], None]) -> dict[str, float]:
        network.captioner.reseed(config.seed, epoch)
        loss, cross_entropy = step.over(looked(epoch), seen_loss)
        return {"loss": loss, "cross_entropy": cross_entropy}

    scored = network.in_float32()
    reader = photo_reader(scored.encoder)
    judge = Judge(scored.captioner, vocabulary, lambda: read_photos(reader, dev), config, decoding, Profile())
    return run_epochs(network, scored, optimizer, len(batches), learn, judge, config, checkpoint, report)


def photo_reader(encoder: keras.Model) -> Reader:
    """Make a reader of whole photos through an encoder, images (B, S, S, 3) to features (B, L, D)."""
    return Reader(encoder, tf.uint8, as_seen)


def read_photos(reader: Reader, photos: Photos) -> Split:
    """Return a split as `captioner.training.evaluation` reads it; its photos are as large as what is read."""
    pixels = photos.pictures.pixels
    features = reader(pixels, np.arange(len(pixels)))
    return Split(features, photos.rows.tolist(), photos.captions, photos.names)

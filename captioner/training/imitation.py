"""The compact encoder learns to see what a teacher sees: a decoder trained before, reading InceptionV3."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from captioner.ahead import ahead
from captioner.config import ImitationConfig, TrainingConfig
from captioner.data.photos import preprocessing, scale
from captioner.data.store import FeatureStore, fingerprint
from captioner.errors import CaptionerError
from captioner.files import cache_directory
from captioner.models.captioner import CaptionModel
from captioner.models.encoder import weights_fingerprint
from captioner.models.photo_model import PhotoModel
from captioner.training.checkpoint import Checkpoint
from captioner.training.optimizer import averaged_weights, make_optimizer
from captioner.training.pictures import Look, Pictures, fill, seen
from captioner.training.shards import shard_bounds, shard_count
from captioner.training.views import Views

SAMPLE = 500
"""Photos from which the variances of the targets are taken."""

FIRST_GUESS = 0.5
"""How far a pupil strays from the mean at first, in standard deviations of the targets."""

Batch = tuple[Look, np.ndarray]
"""A look at B photos, and what the teacher sees in these views: float16 (B, L, U)."""


@dataclass(frozen=True)
class Targets:
    """What the teacher sees in the views of photos.

    Attributes:
        values: float16 (N, V, L, U), the teacher's places.
        views: those views.
    """

    values: np.ndarray
    views: Views

    def of(self, rows: np.ndarray, look: Look) -> np.ndarray:
        """Return the targets of a look at the photos of these rows, (B, L, U)."""
        return self.values[rows, look.views]


def make_targets(
    photos: Sequence[Path], views: Views, encoder: keras.Model, feature_layer: str, teacher: CaptionModel
) -> Targets:
    """Return what the teacher sees in the views of `photos`, from the cache where it is there; killed, it goes on.

    Args:
        photos: N files.
        views: V of each.
        encoder: the teacher's, images (B, S, S, 3) to features (B, L, D).
        feature_layer: the layer that it is cut at.
        teacher: the decoder that reads it.

    Raises:
        CaptionerError: the cache cannot be written to, or the encoder sees nothing.
    """
    size, count = encoder.input_shape[1], views.boxes.shape[1]
    identity = {
        "encoder": weights_fingerprint(encoder),
        "feature_layer": feature_layer,
        "preprocessing": preprocessing(size),
        "decoder": weights_fingerprint(teacher),
        "views": views.fingerprint(),
    }
    shape = (encoder.output_shape[1], teacher.config.hidden_size)
    store = FeatureStore(
        cache_directory() / "targets" / fingerprint(photos, *identity.values()),
        (len(photos) * count, *shape),
        identity,
    )
    look = tf.function(
        lambda images: teacher.decoder.places(encoder(images, training=False)),
        input_signature=[tf.TensorSpec((count, size, size, 3), tf.float32)],
        autograph=False,
    )

    def make(photo: np.ndarray, number: int) -> np.ndarray:
        return look(
            scale(np.stack([views.of(photo, number, view, size) for view in range(count)]))
        ).numpy()  # (V, L, U)

    bad = fill(store, photos, f"{count} views of each photo, as the teacher sees them", make, count)
    values = store.features.reshape(len(photos), count, *shape)
    made = [number for number in range(len(photos)) if number not in bad]
    some = values[made[:32], 0].astype(np.float32)
    if not np.isfinite(some).all() or (len(some) > 1 and (some == some[:1]).all()):
        raise CaptionerError(
            f"--encoder-weights: layer {feature_layer!r} gives the same for every photo, or nothing at all; the "
            "weights file is incomplete there. Choose the complete ImageNet weights"
        )
    return Targets(values, views)


class Unexplained:
    """How much of what the decoder reads of a photo is not explained: of the places, their keys and their mean.

    From the places the decoder takes its context, from the keys where to look, and from the mean how a sentence
    begins. Each is measured as squared error over the variance that the targets have, so that 1 is what someone scores
    who says the same of every photo, and 0 is perfect.

    Args:
        targets: float (N, L, U), a sample.
        teacher: the decoder whose keys are meant.

    Attributes:
        mean: of the targets, unit by unit (U,).
        deviation: the standard deviation that goes with it (U,).
    """

    def __init__(self, targets: np.ndarray, teacher: CaptionModel) -> None:
        flat = targets.astype(np.float32).reshape(-1, targets.shape[-1])
        self.mean, self.deviation = flat.mean(axis=0), flat.std(axis=0)  # (U,)
        self._key = tf.constant(keras.ops.convert_to_numpy(teacher.decoder.attention.key.kernel), tf.float32)
        values = targets.astype(np.float32)
        parts = (values, values @ self._key.numpy(), values.mean(axis=1))
        self._variances = tf.constant(
            [np.mean(np.square(part - part.mean(axis=tuple(range(part.ndim - 1))))) for part in parts], tf.float32
        )

    def shares(self, places: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Return, summed over B images, the shares (3,): places (B, L, U) against targets of the same shape."""
        error = tf.cast(places, tf.float32) - tf.cast(targets, tf.float32)
        keys = tf.matmul(tf.reshape(error, (-1, error.shape[-1])), self._key)  # (B*L, A)
        of_keys = tf.reduce_sum(tf.square(keys)) / (error.shape[1] * keys.shape[-1])
        of_mean = tf.reduce_sum(tf.square(tf.reduce_mean(error, axis=1))) / error.shape[2]
        of_places = tf.reduce_sum(tf.square(error)) / (error.shape[1] * error.shape[2])
        return tf.stack([of_places, of_keys, of_mean]) / self._variances


def begin_with_the_mean(network: PhotoModel, unexplained: Unexplained) -> None:
    """Let an untrained pupil give nearly what someone says who knows only the mean: hundreds of steps are saved."""
    norm = network.captioner.decoder.place_norm
    norm.beta.assign(unexplained.mean)
    norm.gamma.assign(unexplained.deviation * FIRST_GUESS)


def imitate(
    network: PhotoModel,
    pictures: Pictures,
    rows: np.ndarray,
    targets: Targets,
    dev: tuple[np.ndarray, np.ndarray],
    unexplained: Unexplained,
    training: TrainingConfig,
    imitation: ImitationConfig,
    checkpoint: Checkpoint,
    report: Callable[[str], None],
) -> list[dict[str, float]]:
    """Train the encoder, and the decoder's projection of it, to give the teacher's places; keep the best epoch's.

    Args:
        network: its encoder, `place` and `place_norm` are trained in place.
        pictures: the training photos.
        rows: which of them to use.
        targets: what the teacher sees in their views.
        dev: images uint8 (M, S, S, 3) and the teacher's places (M, L, U), to measure with.
        unexplained: the measure.
        training: batch size, weight decay and all else that the imitation has no setting of its own for.
        imitation: epochs and rate.
        checkpoint: goes on where it stopped.
        report: takes a line an epoch.

    Returns:
        the figures of each epoch.
    """
    decoder = network.captioner.decoder
    variables = [
        *network.encoder.trainable_variables,
        *decoder.place.trainable_variables,
        *decoder.place_norm.trainable_variables,
    ]
    steps = -(-len(rows) // training.batch_size)
    config = replace(training, learning_rate=imitation.imitation_rate)
    optimizer = make_optimizer(network, config, imitation.imitation_epochs * steps, variables)
    network.compile(optimizer)  # only so that checkpoints hold the optimiser's state too
    scored = network.in_float32()

    @tf.function(autograph=False, reduce_retracing=True)
    def learn(images: tf.Tensor, turns: tf.Tensor, colours: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            sums = []
            for begin, end in shard_bounds(tf.shape(images)[0]):
                own = seen(images[begin:end], turns[begin:end], colours[begin:end])
                sums.append(unexplained.shares(network.places(own, training=True), wanted[begin:end]))
            shares = tf.add_n(sums) / tf.cast(tf.shape(images)[0], tf.float32)  # (3,)
            loss = tf.reduce_sum(shares)
        optimizer.apply(tape.gradient(loss, variables), variables)
        return shares

    measure = tf.function(
        lambda images, wanted: unexplained.shares(scored.places(as_seen(images)), wanted),
        reduce_retracing=True,
        autograph=False,
    )
    progress = checkpoint.resume(network)
    if progress.epoch:
        report(f"going on after epoch {progress.epoch} of {imitation.imitation_epochs} of the imitation")
    while progress.epoch < imitation.imitation_epochs:
        epoch = progress.epoch + 1
        began = time.monotonic()
        total = np.zeros(3)
        title = f"imitation {epoch}/{imitation.imitation_epochs}"
        with tqdm(total=steps, desc=title, unit="batch", leave=False) as bar:
            batches = _batches(pictures, rows, targets, training.batch_size, [training.seed, epoch])
            for number, (look, wanted) in enumerate(batches, 1):
                total += learn(look.images, look.turns, look.colours, wanted).numpy()
                bar.set_postfix(unexplained=f"{total[0] / number:.3f}", refresh=False)
                bar.update()
        scored.set_weights(averaged_weights(network, optimizer, variables))
        images, wanted = dev
        lots = range(0, len(images), 100)
        missed = sum(measure(images[at : at + 100], wanted[at : at + 100]).numpy() for at in lots) / len(images)
        if not np.isfinite([*total, *missed]).all():
            raise CaptionerError(f"the imitation diverged in epoch {epoch}; lower --imitation-rate")
        row = {
            "epoch": epoch,
            "seconds": round(time.monotonic() - began, 1),
            "learning_rate": float(keras.ops.convert_to_numpy(optimizer.learning_rate)),
            **dict(zip(("places", "keys", "mean"), (total / steps).tolist(), strict=True)),
            **dict(zip(("dev_places", "dev_keys", "dev_mean"), missed.tolist(), strict=True)),
        }
        improved = -sum(missed.tolist()) > progress.best_score
        progress.epoch, progress.history = epoch, [*progress.history, row]
        if improved:
            progress.best_epoch, progress.best_score = epoch, -sum(missed.tolist())
        checkpoint.save(network, scored.get_weights() if improved else None, progress)
        report(
            f"imitation {epoch}/{imitation.imitation_epochs} {row['seconds']:.0f} s: of the places "
            f"{1 - row['places']:.1%} explained, on dev {1 - row['dev_places']:.1%}; keys {1 - row['dev_keys']:.1%}, "
            f"mean {1 - row['dev_mean']:.1%}{' (best)' if improved else ''}"
        )
    if progress.epoch:
        checkpoint.load_best(network, progress)
    return progress.history


def as_seen(images: tf.Tensor) -> tf.Tensor:
    """Make of images uint8 (B, S, S, 3) what `captioner.data.photos.preprocess` makes of photos of that size."""
    return tf.cast(images, tf.float32) / 127.5 - 1.0


def _batches(
    pictures: Pictures, rows: np.ndarray, targets: Targets, batch_size: int, seeds: Sequence[int]
) -> Iterator[Batch]:
    order = np.random.default_rng(seeds).permutation(rows)
    lots = [(number, order[at : at + batch_size]) for number, at in enumerate(range(0, len(order), batch_size))]

    def make(lot: tuple[int, np.ndarray]) -> Batch:
        number, some = lot
        some = np.resize(some, max(len(some), shard_count()))  # no part without a photo: the norms know no mean of none
        look = pictures.look(some, np.random.default_rng([*seeds, number]))
        return look, targets.of(some, look)

    return ahead(make, lots)

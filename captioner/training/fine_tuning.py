"""Fine-tuning: the last layers of the encoder learn along with the decoder."""

from collections.abc import Callable
from dataclasses import replace

import keras
import numpy as np
import tensorflow as tf

from captioner.ahead import ahead
from captioner.config import DecodingConfig, FineTuningConfig, TrainingConfig
from captioner.models.tuned_model import TunedModel
from captioner.text import Vocabulary
from captioner.training.batches import CaptionBatches
from captioner.training.checkpoint import Checkpoint, Progress
from captioner.training.epochs import Judge, run_epochs
from captioner.training.optimizer import make_optimizer
from captioner.training.precision import in_float32
from captioner.training.profile import Profile
from captioner.training.shards import shard_count
from captioner.training.split import Split
from captioner.training.step import LossStep


def fine_tune(
    network: TunedModel,
    vocabulary: Vocabulary,
    train: Split,
    dev: Split,
    training: TrainingConfig,
    config: FineTuningConfig,
    decoding: DecodingConfig,
    checkpoint: Checkpoint,
    report: Callable[[str], None],
    profile: Profile,
) -> Progress:
    """Train `network` in place and leave it with the weights of the epoch that was best by dev CIDEr-D.

    Args:
        network: the last layers and the decoder.
        vocabulary: its words.
        train: what the layers before see of the training photos.
        dev: that of the dev photos.
        training: what the stage has no setting of its own for.
        config: its own settings.
        decoding: how captions are searched.
        checkpoint: goes on where it stopped.
        report: takes lines for people.
        profile: takes the time.

    Returns:
        the epochs' figures and which was best.
    """
    stage = replace(training, epochs=config.fine_tune_epochs, learning_rate=config.fine_tune_rate)
    encoded = [[vocabulary.encode(words, decoding.max_length) for words in each] for each in train.captions]
    batches = CaptionBatches(train.features, train.rows, encoded, stage.batch_size, views=train.views)
    slow = network.layers_behind.trainable_variables
    optimizer = make_optimizer(network, stage, stage.epochs * len(batches), slow=(slow, config.encoder_rate))
    step = LossStep(network, stage.label_smoothing, optimizer, profile)

    def learn(epoch: int, seen: Callable[[float], None]) -> dict[str, float]:
        network.reseed(stage.seed, epoch)
        loss, cross_entropy = step.over(batches.shuffled(stage.seed, epoch), seen)
        return {"loss": loss, "cross_entropy": cross_entropy}

    scored = in_float32(network)
    reader = GridReader(scored.layers_behind)
    judge = Judge(scored.captioner, vocabulary, lambda: reader.split(dev, 1), stage, decoding, profile)
    return run_epochs(network, scored, optimizer, len(batches), learn, judge, stage, checkpoint, report, profile)


class GridReader:
    """Reads what an encoder's first layers see through its last ones, whose weights may change between calls.

    Args:
        layers: grid (B, L', D') to features (B, L, D).
    """

    def __init__(self, layers: keras.Model) -> None:
        signature = [tf.TensorSpec((None, *layers.input_shape[1:]), tf.float16)]
        self._graph = tf.function(
            lambda grid: layers(tf.cast(grid, tf.float32), training=False), signature, autograph=False
        )
        self._shape = layers.output_shape[1:]

    def split(self, grids: Split, views: int, batch_size: int = 50) -> Split:
        """Return a split with the features of the first `views` of each photo in the place of its grids."""
        rows = (np.arange(0, grids.features.shape[0], grids.views)[:, None] + np.arange(views)).reshape(-1)
        features = np.empty((len(rows), *self._shape), np.float16)
        lots = [slice(at, at + batch_size) for at in range(0, len(rows), batch_size)]
        read = ahead(lambda lot: self._graph(grids.features[rows[lot]]).numpy(), lots, shard_count())
        for lot, seen in zip(lots, read, strict=True):
            features[lot] = seen
        return replace(grids, features=features, rows=[row // grids.views * views for row in grids.rows], views=views)

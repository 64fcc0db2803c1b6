"""Fine-tuning: the last layers of the encoder learn along with the decoder."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import keras
import numpy as np
import tensorflow as tf

from captioner.config import DecodingConfig, FineTuningConfig, TrainingConfig
from captioner.models.captioner import CaptionModel
from captioner.models.tuned_model import TunedModel
from captioner.text import Vocabulary
from captioner.training.checkpoint import Checkpoint, Progress
from captioner.training.fit import fit
from captioner.training.profile import Profile
from captioner.training.reader import Reader
from captioner.training.split import Split, encode_captions
from captioner.training.teachers import ask


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
    teachers: Sequence[TunedModel] = (),
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
        teachers: what they say of the captions is learned too.

    Returns:
        the epochs' figures and which was best.
    """
    stage = replace(training, epochs=config.fine_tune_epochs, learning_rate=config.fine_tune_rate)

    def look(scored: TunedModel) -> tuple[CaptionModel, Callable[[], Split]]:
        reader = grid_reader(scored.layers_behind)
        return scored.captioner, lambda: read_grids(reader, dev, 1)

    taught = None
    if teachers:
        taught = ask(teachers, train, encode_captions(train.captions, vocabulary, decoding.max_length))
    return fit(
        network,
        vocabulary,
        train,
        dev,
        stage,
        decoding,
        checkpoint,
        report,
        profile,
        slow=(network.layers_behind.trainable_variables, config.encoder_rate),
        look=look,
        taught=taught,
        distillation=config.distillation,
    )


def grid_reader(layers: keras.Model) -> Reader:
    """Make a reader through an encoder's last layers, grid (B, L', D') to features (B, L, D)."""
    return Reader(layers, tf.float16, lambda grid: tf.cast(grid, tf.float32))


def read_grids(reader: Reader, grids: Split, views: int) -> Split:
    """Return a split with the features of the first `views` of each photo in the place of its grids."""
    rows = (np.arange(0, grids.features.shape[0], grids.views)[:, None] + np.arange(views)).reshape(-1)
    first = [row // grids.views * views for row in grids.rows]
    return replace(grids, features=reader(grids.features, rows), rows=first, views=views, source="")

"""Cross-entropy on what is made already: of the decoder alone, or with the last layers of its encoder."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from captioner.config import DecodingConfig, TrainingConfig
from captioner.models.captioner import CaptionModel
from captioner.models.tuned_model import TunedModel
from captioner.text import Vocabulary
from captioner.training.batches import CaptionBatches
from captioner.training.checkpoint import Checkpoint, Progress
from captioner.training.epochs import Judge, run_epochs
from captioner.training.optimizer import make_optimizer
from captioner.training.precision import in_float32
from captioner.training.profile import Profile
from captioner.training.split import Split, encode_captions
from captioner.training.step import LossStep

Look = Callable[[Any], tuple[CaptionModel, Callable[[], Split]]]
"""What is made of the network in float32: what captions, and what gives the dev split as that is to see it."""


def fit(
    network: CaptionModel | TunedModel,
    vocabulary: Vocabulary,
    train: Split,
    dev: Split,
    config: TrainingConfig,
    decoding: DecodingConfig,
    checkpoint: Checkpoint,
    report: Callable[[str], None],
    profile: Profile | None = None,
    strategy: tf.distribute.Strategy | None = None,
    slow: tuple[Sequence[keras.Variable], float] = ((), 0.0),
    look: Look | None = None,
    taught: np.ndarray | None = None,
    distillation: float = 0.0,
) -> Progress:
    """Train `network` in place and leave it with the weights of the epoch that was best by dev CIDEr-D.

    Args:
        network: made in the scope of the `strategy`, where there is one.
        vocabulary: its words.
        train: the photos as the network reads them.
        dev: those to score on.
        config: rates, epochs, seed.
        decoding: how captions are searched.
        checkpoint: goes on where it stopped.
        report: takes lines for people.
        profile: takes the time.
        strategy: its devices share each batch.
        slow: variables with another rate, see `make_optimizer`.
        look: not given, the network captions what `dev` has.
        taught: what teachers say of the captions, see `captioner.training.teachers.ask`.
        distillation: their share in the words that are to be predicted.

    Returns:
        the epochs' figures and which was best.
    """
    profile = profile or Profile()
    encoded = encode_captions(train.captions, vocabulary, decoding.max_length)
    batches = CaptionBatches(train.features, train.rows, encoded, config.batch_size, views=train.views, taught=taught)
    strategy = strategy or tf.distribute.get_strategy()
    with strategy.scope():
        optimizer = make_optimizer(network, config, config.epochs * len(batches), slow=slow)
    training = LossStep(network, config.label_smoothing, optimizer, profile, strategy, distillation)

    def learn(epoch: int, seen: Callable[[float], None]) -> dict[str, float]:
        network.reseed(config.seed, epoch)
        loss, cross_entropy = training.over(batches.shuffled(config.seed, epoch), seen)
        return {"loss": loss, "cross_entropy": cross_entropy}

    scored = in_float32(network)
    captioner, read_dev = look(scored) if look else (scored, lambda: dev)
    judge = Judge(captioner, vocabulary, read_dev, config, decoding, profile)
    return run_epochs(network, scored, optimizer, len(batches), learn, judge, config, checkpoint, report, profile)

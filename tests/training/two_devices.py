"""Train the tiny task on one device, then on two, and print what came of it as JSON.

    python tests/training/two_devices.py DIRECTORY

Two devices have to be made before TensorFlow begins, so this is a process of its own.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from captioner.config.decoding import DecodingConfig
from captioner.config.model import DecoderConfig
from captioner.config.training import TrainingConfig
from captioner.models.captioner import CaptionModel
from captioner.text import Vocabulary
from captioner.training import devices
from captioner.training.checkpoint import Checkpoint
from captioner.training.context import Context
from captioner.training.devices import choose_strategy
from captioner.training.inputs.split import Split
from captioner.training.loop import run_stage
from captioner.training.profile import Profile
from captioner.training.stages.cross_entropy import CrossEntropy

CONFIG = TrainingConfig(epochs=2, batch_size=8, learning_rate=0.02, warmup_steps=2, clip_norm=0.7, seed=3)
DECODING = DecodingConfig(2, 0.5, 5)
WORDS = ["a", "red", "blue", "dog", "cat", "runs", "sits"]


def split(count: int, seed: int) -> Split:
    """Photos with two captions each, of two or three words: with their ends one length of graph."""
    draw = np.random.default_rng(seed)
    features = draw.normal(size=(count, 4, 6)).astype(np.float16)
    captions = [[draw.choice(WORDS, draw.integers(2, 4)).tolist() for _ in range(2)] for _ in range(count)]
    return Split(features, range(count), captions, [f"{number}.jpg" for number in range(count)])


def train(name: str, directory: Path, dropout: float) -> dict[str, list]:
    """Return the losses of each epoch, and the weights."""
    vocabulary = Vocabulary.build([WORDS])
    strategy = choose_strategy(name)
    keras.utils.set_random_seed(0)
    with strategy.scope():
        network = CaptionModel(DecoderConfig("rnn", 8, 6, 5, dropout, len(vocabulary), 4, 6), dtype="float32")
    checkpoint = Checkpoint(directory, {})
    splits = split(25, 1), split(4, 2)
    context = Context(vocabulary, *splits, CONFIG, DECODING).with_data(*splits)
    progress = run_stage(CrossEntropy(context, network, strategy), checkpoint, Profile())
    losses = [[row[key] for key in ("loss", "cross_entropy", "dev_loss")] for row in progress.history]
    return {
        "devices": strategy.num_replicas_in_sync,
        "losses": losses,
        "weights": [weight.tolist() for weight in network.get_weights()],
    }


if __name__ == "__main__":
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    devices.MOST_SHARDS = 1  # a part for each device: small graphs are soon compiled
    shipped = DecoderConfig.dropout
    runs = (("auto", 0.0), ("mirrored", 0.0), ("auto", shipped), ("mirrored", shipped), ("mirrored", shipped))
    print(
        json.dumps(
            [train(name, Path(sys.argv[1], str(number)), dropout) for number, (name, dropout) in enumerate(runs)]
        )
    )

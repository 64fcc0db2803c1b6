"""Captions a second of a training step: the well-known tutorial's loop, Keras's RNN layer in `fit`, and ours.

    python benchmarks/train_speed.py [--rounds 5] [--images 320] [--vocabulary 2540]

All train on the same made-up photos (64 places of 1,280 channels) and captions, with lengths spread like Flickr8k's.
Each has a process of its own, since the number of threads is set for a process, and they take turns: a round is one
pass of each over the captions. The medians are told, then the share of the machine's matrix products that ours
reaches, and where a step's time goes.

(a) "tutorial" is written from the description of TensorFlow's image captioning tutorial: each caption reads the
    features of its photo from an .npy file; embedding 256, GRU 512, additive attention 512; one tf.function with a
    Python loop over all steps of the padded captions; logits at every step; batches of 64 captions.
(b) "keras.layers.RNN" runs our cell and attention inside Keras's layer, in `model.fit`, as its documentation shows:
    features repeated for each caption, captions padded to the longest, batches of 160 captions.
(c) "captioner" is what `python train.py` runs, at the sizes of the shipped decoder: batches of 32 photos with 5
    captions.
"""

import argparse
import atexit
import os
import shutil
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))

import keras
import numpy as np
import tensorflow as tf
from contenders import Contender, Orders, time_in_turns
from keras import ops
from made_up import seconds

from captioner.config.model import DecoderConfig
from captioner.config.training import TrainingConfig
from captioner.layers.attention import BahdanauAttention
from captioner.layers.cells import RNNCell
from captioner.models.captioner import CaptionModel
from captioner.text import Vocabulary
from captioner.training.caption_loss import CaptionLoss
from captioner.training.inputs.batches import CaptionBatches, caption_arrays
from captioner.training.optimizer import make_optimizer
from captioner.training.precision import choose_precision
from captioner.training.step import Batch, Step

PLACES, CHANNELS, CAPTIONS, LONGEST = 64, 1280, 5, 22


class Task:
    """Made-up photos and captions.

    Args:
        images: how many photos.
        vocabulary_size: words.
    """

    def __init__(self, images: int, vocabulary_size: int) -> None:
        rng = np.random.default_rng(0)
        self.vocabulary_size = vocabulary_size
        self.features = rng.normal(size=(images, PLACES, CHANNELS)).astype(np.float16)
        lengths = np.clip(rng.normal(11.8, 3.8, (images, CAPTIONS)).round(), 4, LONGEST).astype(int)  # end included
        self.captions = [
            [[*rng.integers(4, vocabulary_size, length - 1).tolist(), Vocabulary.end] for length in each]
            for each in lengths
        ]
        self.count = images * CAPTIONS

    def padded(self) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs and targets, int32 (images * CAPTIONS, LONGEST) each, padded with 0."""
        targets = np.zeros((self.count, LONGEST), np.int32)
        for row, caption in enumerate(caption for each in self.captions for caption in each):
            targets[row, : len(caption)] = caption
        start = np.full((self.count, 1), Vocabulary.start, np.int32)
        return np.concatenate([start, targets[:, :-1]], axis=1), targets


class TutorialDecoder(keras.Model):
    """Attention, GRU and two dense layers, one step a call."""

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.reduce = keras.layers.Dense(256, activation="relu")
        self.embedding = keras.layers.Embedding(vocabulary_size, 256)
        self.places, self.state, self.score = (keras.layers.Dense(size) for size in (512, 512, 1))
        self.gru = keras.layers.GRU(512, return_sequences=True, return_state=True)
        self.hidden, self.words = keras.layers.Dense(512), keras.layers.Dense(vocabulary_size)

    def call(self, tokens: Any, features: Any, state: Any) -> tuple[Any, Any]:
        """Tokens (B, 1), features (B, L, 256), state (B, 512) -> logits (B, V), state."""
        scores = self.score(ops.tanh(self.places(features) + self.state(state[:, None])))  # (B, L, 1)
        context = ops.sum(ops.softmax(scores, axis=1) * features, axis=1)  # (B, 256)
        inputs = ops.concatenate([context[:, None], self.embedding(tokens)], axis=-1)  # (B, 1, 512)
        output, state = self.gru(inputs, initial_state=state)
        return self.words(self.hidden(output)[:, 0]), state


def tutorial(task: Task) -> Callable[[], None]:
    """Return a pass over all captions in the manner of the tutorial."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    for number, features in enumerate(task.features):
        np.save(folder / f"{number}.npy", features.astype(np.float32))
    inputs, targets = task.padded()
    names = [str(folder / f"{row // CAPTIONS}.npy") for row in range(task.count)]

    def load(name: bytes, tokens: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return np.load(name.decode()), tokens, wanted

    dataset = tf.data.Dataset.from_tensor_slices((names, inputs, targets)).shuffle(1000, seed=0)
    dataset = dataset.map(
        lambda *row: tf.numpy_function(load, row, [tf.float32, tf.int32, tf.int32]),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    dataset = dataset.batch(64, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
    decoder, optimizer = TutorialDecoder(task.vocabulary_size), keras.optimizers.Adam()
    decoder(np.zeros((1, 1), np.int32), decoder.reduce(np.zeros((1, PLACES, CHANNELS), np.float32)), np.zeros((1, 512)))
    optimizer.build(decoder.trainable_variables)

    @tf.function
    def step(features: tf.Tensor, tokens: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
        features = tf.ensure_shape(features, (64, PLACES, CHANNELS))
        tokens, wanted = (tf.ensure_shape(each, (64, LONGEST)) for each in (tokens, wanted))
        with tf.GradientTape() as tape:
            places, state, loss = decoder.reduce(features), tf.zeros((64, 512)), 0.0
            for t in range(LONGEST):
                logits, state = decoder(tokens[:, t : t + 1], places, state)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(wanted[:, t], logits)
                loss += tf.reduce_mean(tf.where(wanted[:, t] > 0, losses, 0.0))
        variables = decoder.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    def run() -> None:
        for batch in dataset:
            step(*batch).numpy()

    return run


class AttendingCell(keras.layers.Layer):
    """Our cell and attention as a cell of `keras.layers.RNN`, which carries the photo along as states that stay."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.attention, self.cell = BahdanauAttention(config.attention_dim), RNNCell(config.hidden_size)
        self.gate = keras.layers.Dense(config.hidden_size, activation="sigmoid")
        U, A = config.hidden_size, config.attention_dim
        self.state_size = [U, (PLACES, A), (PLACES, U)]
        self.output_size = 2 * U + config.embedding_dim

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Create the weights for word vectors (B, E)."""
        self.cell.build((None, input_shape[-1] + self.cell.units))
        self.gate.build((None, self.cell.units))

    def call(self, word: Any, states: list[Any], training: bool = False) -> tuple[Any, list[Any]]:
        """Word (B, E), states [h (B, U), keys (B, L, A), places (B, L, U)] -> [h, context, word], states."""
        h, keys, places = states
        context, _ = self.attention(h[:, None], keys, places)
        context = self.gate(h) * context[:, 0]
        h, _ = self.cell(ops.concatenate([word, context], axis=-1), [h])
        return ops.concatenate([h, context, word], axis=-1), [h, keys, places]


def stock(task: Task) -> Callable[[], None]:
    """Return a pass over all captions with `keras.layers.RNN` in `model.fit`."""
    config = DecoderConfig(vocabulary_size=task.vocabulary_size)
    features = keras.Input((PLACES, CHANNELS))
    tokens = keras.Input((LONGEST,), dtype="int32")
    places = keras.layers.LayerNormalization()(keras.layers.Dense(config.hidden_size)(features))
    places = keras.layers.Dropout(config.dropout)(places)
    words = keras.layers.Embedding(task.vocabulary_size, config.embedding_dim)(tokens)
    words = keras.layers.Dropout(config.dropout)(words)
    mean = keras.layers.GlobalAveragePooling1D()(places)
    first = keras.layers.Dense(config.hidden_size, activation="tanh")(mean)
    cell = AttendingCell(config)
    cell.attention.build((None, None, config.hidden_size), (None, PLACES, config.hidden_size))
    keys = cell.attention.key(places)
    read = keras.layers.RNN(cell, return_sequences=True)(words, initial_state=[first, keys, places])
    read = keras.layers.Dropout(config.dropout)(read)
    deep = keras.layers.Dense(config.embedding_dim, activation="tanh")(read)
    logits = keras.layers.Dense(task.vocabulary_size)(keras.layers.Dropout(config.dropout)(deep))
    model = keras.Model([features, tokens], logits)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(make_optimizer(model.trainable_variables, TrainingConfig(), 1000), loss, jit_compile=False)
    inputs, targets = task.padded()
    rows = np.arange(task.count) // CAPTIONS

    def batches() -> Any:
        for first in range(0, task.count, 160):
            batch = slice(first, first + 160)
            photo = task.features[rows[batch]].astype(np.float32)
            yield (photo, inputs[batch]), targets[batch], (targets[batch] > 0).astype(np.float32)

    shapes = (
        (tf.TensorSpec((None, PLACES, CHANNELS)), tf.TensorSpec((None, LONGEST), tf.int32)),
        tf.TensorSpec((None, LONGEST), tf.int32),
        tf.TensorSpec((None, LONGEST)),
    )
    dataset = tf.data.Dataset.from_generator(batches, output_signature=shapes).prefetch(2)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(-(-task.count // 160)))
    return lambda: model.fit(dataset, epochs=1, verbose=0, shuffle=False)


def ours(task: Task, precision: str) -> Callable[[], None]:
    """Return a pass over all captions as `training.stages.cross_entropy` makes it."""
    network = CaptionModel(DecoderConfig(vocabulary_size=task.vocabulary_size), dtype=precision)
    config = TrainingConfig()
    variables = network.trainable_variables
    loss = CaptionLoss(network, config.label_smoothing)
    step = Step(loss, make_optimizer(variables, config, 1000), variables)
    batches = CaptionBatches(task.captions, config.batch_size, CAPTIONS)

    def look_up(number: int, batch: Batch) -> Batch:
        return {"features": task.features[batch["rows"]], **caption_arrays(batch)}

    def run() -> None:
        step.over(batches.shuffled(0, 0, look_up))  # the same order each time: every round has the same lengths

    return run


def useful_operations(task: Task) -> float:
    """Count the multiplications and additions of matrix products that a pass over the captions cannot do without.

    For each weight: one product forward, and two backward, less those for the gradient of the photo's features.
    """
    c = DecoderConfig(vocabulary_size=task.vocabulary_size)
    U, E, A, V = c.hidden_size, c.embedding_dim, c.attention_dim, c.vocabulary_size
    images, words = len(task.features), sum(len(caption) for each in task.captions for caption in each)
    place = PLACES * CHANNELS * U
    image = PLACES * U * A + U * U
    step = U * A + 3 * U * U + PLACES * (A + U)  # query; gate, context, recurrence; scores and weighted sum
    word = E * U + (2 * U + E) * E + E * V
    return 2 * (images * (2 * place + 3 * image) + words * 3 * (step + word))


def peak(precision: str) -> float:
    """Measure operations a second in products of 2048 x 2048 matrices, two side by side, as parts of a batch are."""
    dtype = tf.float32 if precision == "float32" else tf.bfloat16
    draw = np.random.default_rng(0).normal(size=(2, 2048, 2048))
    left, right = tf.cast(draw[0], dtype), tf.cast(draw[1], dtype)
    product = tf.function(lambda: tf.add_n([tf.reduce_sum(left @ right), tf.reduce_sum(right @ left)]), autograph=False)
    product()
    times = [seconds(lambda: product().numpy()) for _ in range(7)]
    return 2 * 2 * 2048**3 / statistics.median(times)


def kinds_of(run: Callable[[], None]) -> list[tuple[str, float]]:
    """Run once under TensorFlow's profiler; return the kinds of operations and their seconds over all threads.

    Raises:
        ImportError: this TensorFlow does not bring the format of its profiles.
    """
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        run()
        tf.profiler.experimental.stop()
        space = xplane_pb2.XSpace()
        space.ParseFromString(next(Path(folder).rglob("*.xplane.pb")).read_bytes())
    busy: dict[str, float] = defaultdict(float)
    for plane in space.planes:
        for event in (event for line in plane.lines for event in line.events):
            name = plane.event_metadata[event.metadata_id].name
            kind = name.rsplit(":", 1)[-1]
            if ":" in name and "::" not in name and "__inference" not in name:  # `layer/operation:Kind`
                busy[kind.removeprefix("_Mkl")] += event.duration_ps / 1e12
    return sorted(busy.items(), key=lambda each: -each[1])


def contend(kind: str, images: int, vocabulary_size: int) -> Orders:
    """Return what the contender `kind` does: `run` is a pass over all captions."""
    task = Task(images, vocabulary_size)
    run = STOCK[kind](task) if kind in STOCK else ours(task, kind)
    return {"run": run, "peak": lambda: peak(kind), "kinds": lambda: kinds_of(run)}


STOCK = {"tutorial": tutorial, "keras.layers.RNN": stock}


def main() -> None:
    """Measure, and print three tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=320)
    parser.add_argument("--vocabulary", type=int, default=2540)
    arguments = parser.parse_args()
    task = Task(arguments.images, arguments.vocabulary)
    best = choose_precision("auto")
    contenders = {
        kind: Contender(contend, kind, arguments.images, arguments.vocabulary, a_core_a_shard=kind not in STOCK)
        for kind in dict.fromkeys([*STOCK, "float32", best])
    }
    rates = {kind: task.count / median for kind, median in time_in_turns(contenders, arguments.rounds).items()}
    print("| | captions a second | of (a) | of (b) |\n|---|---|---|---|")
    for kind, rate in rates.items():
        name = {"tutorial": "(a) tutorial, float32", "keras.layers.RNN": "(b) keras.layers.RNN in fit, float32"}.get(
            kind, f"(c) captioner, {kind}"
        )
        ratios = (rate / rates[other] for other in STOCK)
        print(f"| {name} | {rate:,.0f} | {' | '.join(f'{ratio:.1f} x' for ratio in ratios)} |")

    print("\n| | peak of matrix products, GFLOP/s | useful GFLOP/s of ours | share |\n|---|---|---|---|")
    for kind, rate in rates.items():
        if kind not in STOCK:
            most, reached = contenders[kind].ask("peak"), useful_operations(task) / task.count * rate
            print(f"| {kind} | {most / 1e9:.0f} | {reached / 1e9:.0f} | {reached / most:.0%} |")

    kinds = contenders[best].ask("kinds")
    busy = sum(duration for _, duration in kinds)
    shown = [*kinds[:16], ("all others", sum(duration for _, duration in kinds[16:]))]
    print(f"\n| operations, {best} | of the threads' busy time | ms a batch of 160 captions |\n|---|---|---|")
    for name, duration in shown:
        print(f"| {name} | {duration / busy:.1%} | {1e3 * duration * 160 / task.count:.1f} |")


if __name__ == "__main__":
    main()

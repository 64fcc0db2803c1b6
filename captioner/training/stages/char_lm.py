"""The character language model: epochs over a text, the state carried from window to window."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import tensorflow as tf

from captioner.config.training import CharTrainingConfig
from captioner.models.char_lm import CharModel
from captioner.runtime.char_lm import LanguageModel
from captioner.runtime.char_network import CharNetwork
from captioner.text import CharacterVocabulary
from captioner.training.fitting.temperature import fit_temperature
from captioner.training.inputs.text_windows import TextWindows, validation_windows
from captioner.training.loop import Row, Stage
from captioner.training.optimizer import make_optimizer
from captioner.training.precision import in_float32
from captioner.training.profile import Profile
from captioner.training.shards import shard_bounds
from captioner.training.step import Batch, Objective, States, Step

SAMPLE_LENGTH, SAMPLE_TEMPERATURE = 72, 0.7
"""Characters that are made after each epoch for people to read, and how daringly."""


class CharLoss(Objective):
    """Cross-entropy of the next characters of windows of text, in nats, and their number.

    The gradient goes back to the beginning of a window, the state to the beginning of the text (Elman 1990; truncated
    as in Williams & Peng 1990). A target below 0 is not counted.

    What is minimised is (1 - s) H(t, p) + s H(q, p), with the cross-entropy H of the network's p to the character that
    came, t, and to the probabilities q of n-grams, as with a teacher (Hinton et al. 2015). So a network does not learn
    by heart what came once.

    Args:
        network: the model.
        ngram_share: s.
    """

    names: ClassVar[tuple[str, ...]] = ("loss", "characters", "objective")

    def __init__(self, network: CharModel, ngram_share: float = 0.0) -> None:
        self.network = network
        self.ngram_share = ngram_share

    def initial_states(self, batch: Batch) -> States:
        """Return the states before a text."""
        return self.network.initial_states(len(batch["inputs"]))

    def sums(self, batch: Batch, states: States, training: bool) -> tuple[list[tf.Tensor], States]:
        """Return the sums over a window, `inputs` and `targets` int32 (B, T), and the states after it.

        Where `ngram_share` is above 0, the window has `ngram_probabilities` (B, T, V) too, and all its targets count.
        """
        inputs, targets = batch["inputs"], batch["targets"]
        parts, objectives, after = [], [], []
        for begin, end in shard_bounds(tf.shape(inputs)[0]):
            logits, own = self.network(
                inputs[begin:end], [state[begin:end] for state in states], training=training
            )  # (B, T, V)
            counted = targets[begin:end] >= 0
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.where(counted, targets[begin:end], 0), logits)
            parts.append(tf.reduce_sum(tf.where(counted, losses, 0.0)))
            objectives.append(self._objective(parts[-1], logits, batch, slice(begin, end)))
            after.append(own)
        characters = tf.reduce_sum(tf.cast(targets >= 0, tf.float32))
        return [tf.add_n(parts), characters, tf.add_n(objectives)], [
            tf.concat(each, axis=0) for each in zip(*after, strict=True)
        ]

    def loss(self, sums: dict[str, tf.Tensor], batch: Batch) -> tf.Tensor:
        """Return the mean over the window of what is minimised."""
        return sums["objective"] / tf.cast(tf.size(batch["targets"]), sums["objective"].dtype)

    def _objective(self, loss: tf.Tensor, logits: tf.Tensor, batch: Batch, rows: slice) -> tf.Tensor:
        if not self.ngram_share:
            return loss
        to_ngrams = tf.nn.softmax_cross_entropy_with_logits(batch["ngram_probabilities"][rows], logits)  # (B, T)
        return (1 - self.ngram_share) * loss + self.ngram_share * tf.reduce_sum(to_ngrams)


@dataclass(frozen=True)
class EncodedText:
    """A text as tokens.

    Attributes:
        vocabulary: its characters.
        train: the windows that are learned.
        validation: the held-out part (N,).
        left_out: the beginning of the training part, which is not learned, but the temperature fitted on (M,); it may
            be empty.
    """

    vocabulary: CharacterVocabulary
    train: TextWindows
    validation: np.ndarray
    left_out: np.ndarray


class CharLM(Stage):
    """Training on a text by truncated backpropagation through time; each epoch begins with empty states.

    Args:
        network: what is trained.
        text: the tokens.
        training: epochs, rates, seed.
        profile: takes the time.
    """

    monitor = "nats_per_char"

    def __init__(self, network: CharModel, text: EncodedText, training: CharTrainingConfig, profile: Profile) -> None:
        self.network, self.text, self.training, self.profile = network, text, training, profile
        self.epochs = self.patience = training.epochs
        self.variables = network.trainable_variables
        self.optimizer = make_optimizer(self.variables, training, self.epochs * len(self))
        self.step = Step(CharLoss(network, training.ngram_share), self.optimizer, self.variables, profile)
        self.scored = in_float32(network)
        self.measure = Step(CharLoss(self.scored), profile=profile)

    def __len__(self) -> int:
        """Count the windows of an epoch."""
        return len(self.text.train)

    def train_epoch(self, epoch: int, on_batch: Callable[[float], None]) -> Row:
        """Read the training text once; return the mean loss of a character, in nats."""
        self.network.reseed(self.training.seed, epoch)
        windows = self.text.train.epoch(self.training.seed, epoch)
        return {"nats_per_char": mean_loss(self.step, windows, on_batch)}

    def evaluate(self) -> tuple[Row, list[str]]:
        """Fold the temperature into `scored`; return its loss on the validation text, and some text that it writes."""
        temperature = {}
        if len(self.text.left_out):
            with self.profile.phase("fit the temperature"):
                temperature["temperature"] = self._temperature()
            self.scored.divide_logits(temperature["temperature"])
        windows = validation_windows(self.text.validation, self.training.sequence_length)
        figures = {"validation_nats_per_char": mean_loss(self.measure, windows), **temperature}
        with self.profile.phase("write a sample"):
            model = LanguageModel(self.text.vocabulary, self._in_numpy())
            rng = np.random.default_rng(self.training.seed)
            sample = "".join(model.generate("", SAMPLE_LENGTH, SAMPLE_TEMPERATURE, rng=rng))
        return figures, [repr(sample)]

    def _in_numpy(self) -> CharNetwork:
        return CharNetwork(self.scored.config, self.scored.named_weights())

    def _temperature(self) -> float:
        """Return the temperature that fits the text left out best."""
        network, states = self._in_numpy(), None
        log_probs, targets = [], []
        for window in validation_windows(self.text.left_out, self.training.sequence_length):
            read, states = network(window["inputs"], states or network.initial_states(len(window["inputs"])))
            counted = window["targets"] >= 0  # (B, T)
            log_probs.append(read[counted])
            targets.append(window["targets"][counted])
        return fit_temperature(np.concatenate(log_probs), np.concatenate(targets))

    def quality(self, row: Row) -> tuple[float, ...]:
        """Compare by the loss on the validation text."""
        return (-row["validation_nats_per_char"],)

    def summary(self, row: Row) -> str:
        """Describe an epoch by its two losses."""
        return f"{row['nats_per_char']:.3f} nats/char, validation {row['validation_nats_per_char']:.3f}"


def mean_loss(step: Step, windows: Iterator[Batch], on_batch: Callable[[float], None] = lambda loss: None) -> float:
    """Run a step of `CharLoss` over windows and return the mean loss of a character; `on_batch` takes it so far."""
    totals = step.over(windows, lambda sums: on_batch(sums["loss"] / max(1.0, sums["characters"])))
    return totals["loss"] / totals["characters"]

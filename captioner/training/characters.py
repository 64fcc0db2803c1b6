"""The training of a character language model."""

import dataclasses
import hashlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from captioner.config.model import CharModelConfig
from captioner.config.training import CharTrainingConfig
from captioner.data.corpus import Corpus
from captioner.errors import CaptionerError
from captioner.metrics.likelihood import likelihood
from captioner.model_files.directory import WEIGHTS, write_model
from captioner.models.char_lm import CharModel
from captioner.plots import draw_text_curve
from captioner.runtime.char_lm import LanguageModel
from captioner.system.progress import progress_bar
from captioner.text import CharacterVocabulary
from captioner.training.artifacts import CARD, CURVE, write_history
from captioner.training.card.char_card import write_char_card
from captioner.training.checkpoint import Progress
from captioner.training.fitting.temperature import left_out
from captioner.training.inputs.ngram_targets import BLOCKS, ORDER, check_length, ngram_probabilities
from captioner.training.inputs.text_windows import TextWindows
from captioner.training.loop import Stage
from captioner.training.precision import choose_precision
from captioner.training.run import Training, TrainingRun
from captioner.training.stages.char_lm import CharLM, EncodedText
from captioner.training.versions import versions

PARTS = ("train", "validation", "test")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CharRun:
    """The configuration of a training on characters: text, model, training and output.

    Attributes:
        corpus: the text.
        model: the sizes; that of the vocabulary is filled in.
        training: epochs, rates, seed.
        output: the model directory to write.
    """

    corpus: Corpus
    model: CharModelConfig
    training: CharTrainingConfig
    output: Path

    def settings(self) -> dict[str, Any]:
        """Return the settings that decide the outcome in one dictionary, by the names that users know."""
        text = self.corpus.text.encode("utf-8", errors="surrogatepass")
        return {
            **{name: value for name, value in dataclasses.asdict(self.model).items() if name != "vocabulary_size"},
            **dataclasses.asdict(self.training),
            "text": hashlib.blake2b(text, digest_size=8).hexdigest(),
        }

    def parts(self) -> dict[str, str]:
        """Return the parts of the text by name, each contiguous.

        Raises:
            CaptionerError: one of them is empty.
        """
        shares = [int(share) for share in self.training.split.split("/")]
        parts = dict(zip(PARTS, self.corpus.split(shares), strict=False))
        if not all(parts.values()):
            raise CaptionerError(
                f"the text {self.corpus.name} has {len(self.corpus.text)} characters, too few to split them "
                f"{self.training.split}; give a longer text"
            )
        return parts


class CharTraining(Training):
    """One stage over the text; then its parts are read from the first character to the last.

    Args:
        config: what to train.
    """

    def __init__(self, config: CharRun) -> None:
        precision = choose_precision(config.training.precision)
        self.config = replace(config, training=replace(config.training, precision=precision))
        self.output = config.output

    def settings(self) -> dict[str, Any]:
        """Return the settings that decide the outcome in one dictionary, by the names that users know."""
        return self.config.settings()

    def check(self) -> None:
        """Split the text and encode it, which refuses a text that is too short."""
        training, self.parts = self.config.training, self.config.parts()
        vocabulary = CharacterVocabulary.build(self.parts["train"])
        train, validation = (vocabulary.encode(self.parts[name]) for name in ("train", "validation"))
        first = left_out(len(train), training.temperature_share, len(vocabulary))
        # From the beginning: the validation text continues the chapter at the end, and only that part has its names.
        windows = TextWindows(train[first:], training.batch_size, training.sequence_length)
        if training.ngram_share:
            check_length(len(windows.tokens), len(vocabulary))
        self.text = EncodedText(vocabulary, windows, validation, train[:first])

    def stages(self, run: TrainingRun) -> Iterator[tuple[str, Stage]]:
        """Yield the only stage."""
        training, text = self.config.training, self.text
        train, characters = text.train.tokens, len(text.vocabulary)
        self.model = replace(self.config.model, vocabulary_size=characters)
        self.unknown = int((text.validation == text.vocabulary.unknown).sum())
        log.info(
            "%d characters to train on%s, %d to validate on, %d different%s",
            len(train),
            f", {len(text.left_out)} to fit the temperature" if len(text.left_out) else "",
            *(len(text.validation), characters - 2),
            f"; {self.unknown} of the validation text are not among them and count as <unk>" if self.unknown else "",
        )
        if training.ngram_share:
            with run.profile.phase("count n-grams"):
                text.train.ngram_probabilities = _counted_ngrams(train, characters)
        keras.utils.set_random_seed(training.seed)
        self.network = CharModel(self.model, dtype=training.precision)
        self.network.set_character_frequencies(np.bincount(train, minlength=characters))
        yield "", CharLM(self.network, text, training, run.profile)

    def progress(self, histories: Mapping[str, Progress]) -> Progress:
        """Return the epochs of the only stage."""
        return histories[""]

    def write_epochs(self, progress: Progress) -> None:
        """Write table and curve of the epochs."""
        write_history(self.output, progress)
        draw_text_curve(self.output / CURVE, progress.history, progress.best_epoch)

    def save_draft(self, stage: Stage) -> None:
        """Write the model with the weights that the stage has averaged."""
        self._save(stage.scored)

    def _save(self, network: CharModel) -> None:
        write_model(self.output, self.model, self.text.vocabulary, {WEIGHTS: network.named_weights()})

    def finish(self, run: TrainingRun) -> dict[str, Any]:
        """Write the model, and score it.

        Returns:
            the metrics. `nats_per_char` and its kin are of the validation text, read from its first character to its
            last as one stream; with a test text, `test` holds the same of it.
        """
        progress, training = self.progress(run.histories), self.config.training
        self._save(self.network)
        log.info("reading the validation text as one stream")
        model = LanguageModel.load(self.output)
        scores = {name: likelihood(model.surprisals(part)) for name, part in self.parts.items() if name != "train"}
        metrics = {
            **scores["validation"],
            "split": training.split,
            "unknown_characters": self.unknown,
            "temperature": progress.history[progress.best_epoch - 1].get("temperature", 1.0),
            **({"test": scores["test"]} if "test" in scores else {}),
            "best_epoch": progress.best_epoch,
            "epochs": progress.epoch,
            "parameters": self.network.count_params(),
            "training_seconds": round(progress.seconds),
            "settings": self.settings(),
            "trained_on": self.config.corpus.name,
            "versions": versions(),
        }
        self.write_epochs(progress)
        write_char_card(self.output / CARD, self.config.corpus.name, self.model, training, metrics)
        return metrics


def _counted_ngrams(tokens: np.ndarray, vocabulary_size: int) -> np.ndarray:
    """Return the probabilities of `ngram_probabilities`, with progress."""
    with progress_bar(total=(ORDER + 1) * BLOCKS, desc="counting n-grams", unit="block", delay=2, leave=False) as bar:
        return ngram_probabilities(tokens, vocabulary_size, done=bar.update)

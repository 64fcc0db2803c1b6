"""One training of a character language model, from text to model directory."""

import dataclasses
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from captioner.config import CharModelConfig, CharTrainingConfig
from captioner.data.corpus import Corpus
from captioner.errors import CaptionerError
from captioner.files import replacing, write_json
from captioner.metrics.likelihood import likelihood
from captioner.models.char_lm import CharModel
from captioner.plots import draw_text_curve
from captioner.runtime.char_directory import save_char_model
from captioner.runtime.char_lm import LanguageModel
from captioner.text import CharacterVocabulary
from captioner.training.char_card import write_char_card
from captioner.training.char_fit import fit_char_model
from captioner.training.checkpoint import METRICS, Progress, open_run
from captioner.training.precision import choose_precision
from captioner.training.profile import Profile
from captioner.training.streams import TextStreams

HISTORY, CURVE, CARD = "history.csv", "training.png", "README.md"
PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class CharRun:
    """What to train, on what, and where to.

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
        """Return what decides the outcome, flat, by the names that users know."""
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


def train_char_model(
    run: CharRun, *, resume: bool, report: Callable[[str], None], profile: Profile | None = None
) -> dict[str, Any]:
    """Train a character language model and write its directory; go on with a run that was stopped.

    Args:
        run: what to train.
        resume: whether to continue what lies in `run.output`; otherwise it is started over.
        report: takes lines for people.
        profile: takes the time of each epoch.

    Returns:
        the metrics, as written to metrics.json. `nats_per_char` and its kin are of the validation text, read from its
        first character to its last as one stream; with a test text, `test` holds the same of it.

    Raises:
        UsageError: `run.output` holds a run with other settings.
        CaptionerError: the text is too short, or the training diverged.
    """
    run = replace(run, training=replace(run.training, precision=choose_precision(run.training.precision)))
    checkpoint, metrics = open_run(run.output, run.settings(), resume=resume, report=report)
    if metrics is not None:
        return metrics
    began = time.monotonic()
    parts = run.parts()
    vocabulary = CharacterVocabulary.build(parts["train"])
    train, validation = vocabulary.encode(parts["train"]), vocabulary.encode(parts["validation"])
    streams = TextStreams(train, run.training.batch_size, run.training.sequence_length)
    checkpoint.directory.mkdir(parents=True, exist_ok=True)  # where it cannot be written to, say so before the work
    config = replace(run.model, vocabulary_size=len(vocabulary))
    unknown = int((validation == vocabulary.unknown).sum())
    report(
        f"{len(train)} characters to train on, {len(validation)} to validate on, {len(vocabulary) - 2} different"
        + (f"; {unknown} of the validation text are not among them and count as <unk>" if unknown else "")
    )
    keras.utils.set_random_seed(run.training.seed)
    network = CharModel(config, dtype=run.training.precision)
    network.set_character_frequencies(np.bincount(train, minlength=len(vocabulary)))
    progress = fit_char_model(
        network, vocabulary, streams, validation, run.training, checkpoint, report, profile or Profile()
    )
    save_char_model(run.output, config, vocabulary, network.named_weights())
    report("reading the validation text as one stream")
    model = LanguageModel.load(run.output)
    scores = {name: likelihood(model.surprises(part)) for name, part in parts.items() if name != "train"}
    metrics = {
        **scores["validation"],
        "split": run.training.split,
        "unknown_characters": unknown,
        **({"test": scores["test"]} if "test" in scores else {}),
        "best_epoch": progress.best_epoch,
        "epochs": progress.epoch,
        "parameters": network.count_params(),
        "training_seconds": round(sum(row["seconds"] for row in progress.history)),
        "settings": run.settings(),
    }
    _write_history(run.output, progress)
    write_char_card(run.output / CARD, run.corpus.name, config, run.training, metrics)
    write_json(run.output / METRICS, metrics)
    checkpoint.remove()
    report(f"{run.output} is finished after {(time.monotonic() - began) / 60:.0f} minutes")
    return metrics


def _write_history(output: Path, progress: Progress) -> None:
    import pandas as pd

    with replacing(output / HISTORY) as beside:
        pd.DataFrame(progress.history).to_csv(beside, index=False, float_format="%.6g")
    draw_text_curve(output / CURVE, progress.history, progress.best_epoch)

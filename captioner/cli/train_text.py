"""`train --task char-lm`: train a character language model on a text."""

import argparse
import contextlib
import logging
import sys
from pathlib import Path

from captioner.cli.table import likelihood_table
from captioner.config.model import CharModelConfig
from captioner.config.options import given
from captioner.config.recipe import RunSettings
from captioner.config.training import CharTrainingConfig
from captioner.data.corpus import Corpus, find_captions, read_corpus
from captioner.errors import CaptionerError, UsageError
from captioner.system.locks import alone_in
from captioner.system.native_stderr import load_keras_quietly
from captioner.training.start import RunOptions, load_training, run_training

log = logging.getLogger(__name__)

TINY_SHAKESPEARE = "tinyshakespeare"
"""What `--text` calls a text that is downloaded; a file of this name comes first."""

SHAKESPEARE = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
SHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"


def run_text_task(settings: RunSettings, arguments: argparse.Namespace, manner: RunOptions) -> None:
    """Train a language model, and print how well it predicts the validation text."""
    model = CharModelConfig(**given(settings.values, CharModelConfig))
    training = CharTrainingConfig(**given(settings.values, CharTrainingConfig))
    corpus = find_corpus(settings.path("text"), arguments.data, arguments.data_format)

    output = settings.path("output") or Path("saved_models") / f"{corpus.name}-{model.cell}"
    with alone_in(output, "training"):
        load_training("auto", manner)
        from captioner.training.characters import CharRun, CharTraining

        char_training = CharTraining(CharRun(corpus, model, training, output))
        print(likelihood_table(run_training(char_training, manner)))


def find_corpus(text: Path | None, data: str | None, data_format: str) -> Corpus:
    """Read the text to learn: `text`, else the captions of the data set, else tiny Shakespeare.

    Raises:
        UsageError: both a text and a data set were named.
        CaptionerError: it cannot be read or downloaded.
    """
    if text is not None:
        if data is not None:
            raise UsageError("--text and --data both name the text to learn; leave out one")
        if text != Path(TINY_SHAKESPEARE) or text.exists():
            return read_corpus(text)
        return _read_shakespeare()
    corpus = find_captions(data, data_format) or _read_shakespeare()
    log.info("no --text was given; using %s, %d characters", corpus.name, len(corpus.text))
    return corpus


def _read_shakespeare() -> Corpus:
    return Corpus(TINY_SHAKESPEARE, read_corpus(_download_shakespeare()).text)


def _download_shakespeare() -> Path:
    """Download tiny Shakespeare to Keras's cache, unless it is there.

    Raises:
        CaptionerError: it could not be downloaded.
    """
    load_keras_quietly()
    import keras

    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras draws its progress bar on stdout, which is for results
            path = keras.utils.get_file(
                "tinyshakespeare.txt", SHAKESPEARE, file_hash=SHAKESPEARE_SHA256, hash_algorithm="sha256"
            )
    except Exception as error:  # urllib, checksums, disks: each with its own kind
        raise CaptionerError(
            f"tiny Shakespeare could not be downloaded from {SHAKESPEARE} ({error}); name another text with --text FILE"
        ) from error
    return Path(path)

"""`train --task char-lm`: a text in, a character language model out."""

import argparse
import contextlib
import logging
import sys
from pathlib import Path

from captioner.cli.arguments import add_setting, chosen
from captioner.cli.table import likelihood_table
from captioner.cli.training import load_training, run_training
from captioner.config import CharModelConfig, CharTrainingConfig
from captioner.data.corpus import Corpus, find_captions, read_corpus
from captioner.errors import CaptionerError, UsageError
from captioner.locks import alone_in
from captioner.quiet import load_keras, stderr_closed

TEXT_OPTIONS = ("text", "layers", "recurrent_dropout", "layer_norm", "sequence_length", "split")
"""What only language models have."""

log = logging.getLogger(__name__)

SHAKESPEARE = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
SHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"


def add_text_task(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that only `--task char-lm` has."""
    group = parser.add_argument_group(
        "character language model (--task char-lm)",
        "--data, --cell, --hidden-size, --embedding-dim, --dropout and all options of training also apply.",
    )
    group.add_argument(
        "--text",
        metavar="FILE",
        type=Path,
        help="a text in UTF-8, in any language (default: the captions in --data, $CAPTIONER_DATA or datasets/flickr8k; "
        "if there are none, tiny Shakespeare is downloaded, 1.1 MB)",
    )
    add_setting(group, CharModelConfig, "layers", "number of recurrent layers")
    add_setting(
        group, CharModelConfig, "recurrent_dropout", "share of the recurrent weights that are dropped in training"
    )
    group.add_argument(
        "--layer-norm",
        action=argparse.BooleanOptionalAction,
        help="normalise each layer's output (default: yes)",
    )
    add_setting(group, CharTrainingConfig, "sequence_length", "characters that gradients are propagated back through")
    add_setting(
        group, CharTrainingConfig, "split", "percentages for training, validation and test, in the order of the text"
    )


def run_text_task(arguments: argparse.Namespace) -> int:
    """Train a language model, and print how well it predicts the validation text."""
    model = CharModelConfig(**chosen(arguments, CharModelConfig))
    training = CharTrainingConfig(**chosen(arguments, CharTrainingConfig))
    corpus = _find_corpus(arguments)

    output = arguments.output or Path("saved_models") / f"{corpus.name}-{model.cell}"
    with alone_in(output, "training"):
        load_training()
        from captioner.training.characters import CharRun, CharTraining

        print(likelihood_table(run_training(CharTraining(CharRun(corpus, model, training, output)), arguments)))
    return 0


def _find_corpus(arguments: argparse.Namespace) -> Corpus:
    if arguments.text is not None:
        if arguments.data is not None:
            raise UsageError("--text and --data both name the text to learn; leave out one")
        return read_corpus(arguments.text)
    corpus = find_captions(arguments.data, arguments.data_format)
    if corpus is None:
        corpus = Corpus("tinyshakespeare", read_corpus(_download_shakespeare()).text)
    log.info("no --text was given; using %s, %d characters", corpus.name, len(corpus.text))
    return corpus


def _download_shakespeare() -> Path:
    """Bring tiny Shakespeare into Keras's cache, unless it is there.

    Raises:
        CaptionerError: it could not be downloaded.
    """
    with stderr_closed():
        load_keras()
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

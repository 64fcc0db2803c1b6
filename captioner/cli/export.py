"""`export`: a model directory in, a form of it that other programs read out."""

import argparse
import sys
from pathlib import Path

from captioner.cli.quiet import load_keras
from captioner.errors import UsageError

INTERRUPTED = "stopped; nothing was exported"

FORMATS = ("savedmodel",)

EXAMPLES = """\
examples:
  python -m captioner export --model saved_models/char-lm --format savedmodel --output exported/char-lm

Any process that has TensorFlow, and nothing of captioner, then writes texts with it:

  import tensorflow as tf
  model = tf.saved_model.load("exported/char-lm")                         # keep `model`: its functions live in it
  print(model.continue_prompt(["ROMEO:", "JULIET:"], length=200, temperature=0.8, seed=1)["text"])

The same, and a step at a time, by signature, as TensorFlow Serving and other languages call it (B texts at once, states
of U units, V characters):

  continue_prompt   prompt (B,), length, temperature, top_k, top_p, seed -> text (B,), continuation (B,); the default
  step              characters (B,), state_1 (B, U), state_2 ... -> logits (B, V), state_1 ...; before a text the states
                    are zeros and the character is ""
  vocabulary        -> tokens (V,): the character of each column of the logits

  saved_model_cli run --dir exported/char-lm --tag_set serve --signature_def continue_prompt \\
      --input_exprs 'prompt=["ROMEO:"]'
"""


def make_parser(program: str) -> argparse.ArgumentParser:
    """Describe the arguments."""
    parser = argparse.ArgumentParser(
        prog=program,
        description="Export a character language model to a form that needs nothing of captioner.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", metavar="DIR", type=Path, required=True, help="model directory")
    parser.add_argument("--format", choices=FORMATS, default="savedmodel", help="what to write (default: savedmodel)")
    parser.add_argument(
        "--output",
        metavar="DIR",
        type=Path,
        required=True,
        help="directory to make; a former export there is replaced, anything else is left alone",
    )
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Export, and say what was written."""
    from captioner.config import holds_config
    from captioner.export.directory import check_output
    from captioner.runtime.char_directory import CONFIG, is_char_model

    # What can be said at once is said before TensorFlow takes its seconds.
    check_output(arguments.output)
    config = arguments.model / CONFIG
    if config.is_file() and not is_char_model(arguments.model) and holds_config(config, "model"):
        raise UsageError(
            f"--model {arguments.model}: is a captioning model; this version exports only character language models, "
            "such as saved_models/char-lm"
        )

    load_keras()
    import tensorflow as tf

    from captioner.export.char_savedmodel import export_char_savedmodel

    tf.get_logger().setLevel("ERROR")  # it would tell of each file
    export_char_savedmodel(arguments.model, arguments.output)
    megabytes = sum(path.stat().st_size for path in arguments.output.rglob("*") if path.is_file()) / 1e6
    print(
        f"{arguments.output}: a SavedModel of {arguments.model}, {megabytes:.1f} MB, with the signatures "
        "continue_prompt, step and vocabulary",
        file=sys.stderr,
    )
    return 0

"""`export`: write a model in a format that other programs read."""

import argparse
import sys
import zipfile
from pathlib import Path

from captioner.cli.arguments import add_encoder_weights, add_model, add_quiet
from captioner.cli.main import note
from captioner.cli.parser import Parser
from captioner.errors import CaptionerError, UsageError
from captioner.system.extras import require
from captioner.system.native_stderr import load_keras_quietly, stderr_closed

INTERRUPTED = "stopped; nothing was exported"

LONGEST_CONFIG = 1 << 24
"""Bytes of a Keras model's description that are read."""

FORMATS = ("savedmodel", "litert", "onnx", "keras")

EXAMPLES = """\
examples:
  python -m captioner export --model saved_models/flickr8k --format savedmodel --output exported/flickr8k

Any process with TensorFlow can then caption photos, without this package:

  import tensorflow as tf
  model = tf.saved_model.load("exported/flickr8k")                        # keep `model`: its functions belong to it
  print(model.caption_files([open("photo.jpg", "rb").read()])["captions"])

TensorFlow Serving and other languages call the signatures (B photos, N captions per photo, best first, T words in the
longest caption, L regions of the photo, row by row):

  serving_default   photos (B,), the bytes of JPEG and PNG files -> caption (B,), score (B,); of a calibrated
                    model also confidence (B,) and familiar (B,). Photos are turned upright as
                    EXIF data or XMP say, but not by notes that a PNG compresses, which predict.py reads
  caption_files     photos (B,) and options
  caption_images    images (B, 299, 299, 3), RGB from -1 to 1, for photos that TensorFlow does not read, such as WebP,
                    and options
      options       num_captions (1), beam_width, length_penalty, max_length, no_repeat_ngram_size (defaults: those of
                    the model)
      outputs       captions (B, N), scores (B, N), words (B, N, T), attention (B, N, T, L); of a calibrated model also
                    confidence (B, N) and familiar (B,)

  python -c 'import numpy; numpy.save("photos.npy", [open("photo.jpg", "rb").read()])'
  saved_model_cli run --dir exported/flickr8k --tag_set serve --signature_def serving_default --inputs photos=photos.npy

A request to TensorFlow Serving is {"instances": [{"b64": "..."}]}, the photo in base64. docs/deploy.md says more.

  python -m captioner export --model saved_models/flickr8k --format litert --output exported/ready
  python predict.py photo.jpg --model exported/ready      # without TensorFlow, Keras, and InceptionV3's weights

  python -m captioner export --model saved_models/flickr8k --format onnx --output exported/onnx

The last command writes encoder.onnx, start.onnx and step.onnx, for any ONNX runtime, and in their metadata the words
and how to search. docs/deploy.md has a script that captions with them.

  python -m captioner export --model saved_models/compact --format keras --output exported/compact.keras

This is one file for keras.saving.load_model, after `import captioner.models`: photos (of a compact model) or features,
and tokens, to logits. It holds no weights of ImageNet. docs/keras.md shows how to use it.

  python -m captioner export --model saved_models/char-lm --format savedmodel --output exported/char-lm

  model = tf.saved_model.load("exported/char-lm")
  print(model.continue_prompt(["ROMEO:", "JULIET:"], length=200, temperature=0.8, seed=1)["text"])

The signatures of a character model (B texts, states of U units, V characters):

  serving_default   prompts (B,) -> text (B,), continuation (B,)
  continue_prompt   prompts (B,), length, temperature, top_k, top_p, seed -> the same
  step              characters (B,), state_1 (B, U), state_2 ... -> logits (B, V), state_1 ...; at the start of a text,
                    the states are zeros and the character is ""
  vocabulary        -> tokens (V,): the character of each column of the logits
"""


def make_parser(program: str) -> argparse.ArgumentParser:
    """Describe the arguments."""
    parser = Parser(
        prog=program,
        description="Export a model to run without this package (savedmodel, onnx) or without TensorFlow (litert).",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model(parser, required=True)
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="savedmodel",
        help="the form to write; character models have savedmodel only (default: savedmodel)",
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        type=Path,
        required=True,
        help="directory to create; an earlier export there is replaced, anything else is left alone. With --format "
        "keras, a file FILE.keras",
    )
    add_encoder_weights(parser, downloads=False)
    add_quiet(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Export, and say what was written."""
    from captioner.export.directory import check_output
    from captioner.model_files.directory import CAPTIONER, CHAR_LM, model_kind

    # What can be said at once is said before TensorFlow takes its seconds.
    if arguments.format == "keras":
        _check_keras_name(arguments.output)
    else:
        check_output(arguments.output)
    _require(arguments.format)
    kind = model_kind(arguments.model)
    if kind == CAPTIONER:
        forms = {"savedmodel": _captioner_as_savedmodel, "litert": _bundle, "onnx": _captioner_as_onnx}
        forms["keras"] = _captioner_as_keras
        form = forms[arguments.format](arguments)
    elif arguments.format == "savedmodel" or kind != CHAR_LM:
        form = _characters_as_savedmodel(arguments)
    else:
        raise UsageError(
            f"--format {arguments.format}: {arguments.model} is a character language model, which predict reads as it "
            "is; expected savedmodel, or a captioning model"
        )
    files = [arguments.output, *arguments.output.rglob("*")]
    megabytes = sum(path.stat().st_size for path in files if path.is_file()) / 1e6
    print(f"{arguments.output}: {form}, {megabytes:.1f} MB", file=sys.stderr)
    return 0


def _require(form: str) -> None:
    """Raise CaptionerError where what writes this form is not installed; what litert needs depends on the model."""
    if form == "onnx":
        require("export", "an export to ONNX", "tensorflow", "keras", "onnx", "tf2onnx")
    elif form != "litert":
        require("export", f"--format {form}", "tensorflow", "keras")


def _check_keras_name(output: Path) -> None:
    """Raise CaptionerError for a file that Keras would not load, and for one that is there and no export of ours."""
    if output.suffix != ".keras" or output.is_dir():
        found = "is a directory" if output.is_dir() else f"ends in {output.suffix!r}"
        raise CaptionerError(f"--output {output}: {found}; expected a file such as exported/flickr8k.keras")
    if output.exists() and not _is_export(output):
        raise CaptionerError(f"--output {output}: the file there is no earlier export; name another file, or move it")


def _is_export(path: Path) -> bool:
    """Return whether a file is a Keras model that holds one of our captioning models."""
    try:
        with zipfile.ZipFile(path) as file, file.open("config.json") as config:
            return b"captioner>CaptionModel" in config.read(LONGEST_CONFIG)
    except (OSError, KeyError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return False


def _captioner_as_savedmodel(arguments: argparse.Namespace) -> str:
    weights = _weights(arguments)
    note(f"tracing {arguments.model} and its encoder; this takes about 20 seconds")
    _load_tensorflow()
    from captioner.export.caption_savedmodel import export_caption_savedmodel

    export_caption_savedmodel(arguments.model, weights, arguments.output)
    return f"a SavedModel of {arguments.model}, with the signatures serving_default, caption_files and caption_images"


def _weights(arguments: argparse.Namespace) -> str:
    """Return the encoder's weights for a model that can be exported, whose files have been checked."""
    from captioner.encoder_network import needed_weights
    from captioner.model_files.directory import CaptionerDirectory

    model = CaptionerDirectory.read(arguments.model)
    model.vocabulary()
    model.check()
    return needed_weights(model, arguments.encoder_weights)


def _bundle(arguments: argparse.Namespace) -> str:
    from captioner.encoder_network import encoder_network
    from captioner.export.bundle import export_bundle
    from captioner.model_files.directory import CaptionerDirectory

    model = CaptionerDirectory.read(arguments.model)
    with stderr_closed():
        networks = {name: encoder_network(model, arguments.encoder_weights, name) for name in ("float32", "auto")}
    export_bundle(model, networks["float32"], networks["auto"], arguments.output)
    return f"{arguments.model} as a LiteRT bundle, for predict --model"


def _captioner_as_onnx(arguments: argparse.Namespace) -> str:
    weights = _weights(arguments)
    note(f"converting {arguments.model} and its encoder; this takes about 20 seconds")
    _load_tensorflow()
    from captioner.export.onnx import export_onnx

    with stderr_closed():  # the converter logs devices and optimisers
        export_onnx(arguments.model, weights, arguments.output)
    return f"{arguments.model} in ONNX: encoder, start and step"


def _captioner_as_keras(arguments: argparse.Namespace) -> str:
    _load_tensorflow()
    from captioner.export.keras_file import export_keras

    name = export_keras(arguments.model, arguments.output)
    return f"{arguments.model} as a Keras model of {name} and tokens"


def _characters_as_savedmodel(arguments: argparse.Namespace) -> str:
    _load_tensorflow()
    from captioner.export.char_savedmodel import export_char_savedmodel

    export_char_savedmodel(arguments.model, arguments.output)
    return (
        f"a SavedModel of {arguments.model}, with the signatures serving_default, continue_prompt, step and vocabulary"
    )


def _load_tensorflow() -> None:
    load_keras_quietly()
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")  # it would log each file

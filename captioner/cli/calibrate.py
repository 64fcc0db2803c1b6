"""`calibrate`: fit consensus, confidence and familiarity of a model to its training data."""

import argparse
from pathlib import Path

from captioner.cli.arguments import add_data, add_encoder_weights, add_model, add_quiet
from captioner.cli.main import note
from captioner.cli.parser import Parser
from captioner.errors import CaptionerError
from captioner.system.extras import require

INTERRUPTED = "stopped; the model is unchanged, and the same command starts over"

EXAMPLES = """\
Each training does this at its end. Do it yourself for a model that was trained before, or with other photos. It reads
up to 6,000 training photos and all dev photos, which takes a few minutes.

Confidence is the share of a caption's words that somebody would use too, names and actions, not "the" or "of". Photos
unlike the training photos are called unfamiliar; one of twenty dev photos is.

examples:
  python -m captioner calibrate --model saved_models/mine --data my_photos
"""


def make_parser(program: str) -> argparse.ArgumentParser:
    """Describe the arguments."""
    parser = Parser(
        prog=program,
        description="Fit how sure a model's captions are, and which photos are unlike those it learned from.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model(parser, required=True)
    add_data(parser)
    add_encoder_weights(parser)
    add_quiet(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Fit, write, and report."""
    require("train", "calibrate", "pandas", "nltk")
    from captioner.calibrate import calibrate
    from captioner.data.dataset import ENOUGH_PHOTOS
    from captioner.data.flickr8k import find_or_download
    from captioner.model_files.directory import CaptionerDirectory
    from captioner.system.locks import alone_in

    directory = Path(arguments.model)
    CaptionerDirectory.read(directory)
    dataset = find_or_download(arguments.data, arguments.data_format)
    note(dataset.report())
    with alone_in(directory, "training"):
        if not calibrate(directory, dataset, arguments.encoder_weights):
            raise CaptionerError(
                f"{len(dataset.split('dev'))} dev photos are too few; expected at least {ENOUGH_PHOTOS}, or the "
                "confidence would be chance"
            )
    found = CaptionerDirectory.read(directory).doubt
    if found:
        note(f"{directory}: a caption is sure from {found.sure:.2f}, and a guess below {found.guess:.2f}")
    return 0

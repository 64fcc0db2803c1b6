"""`download`: fetch and prepare the weights of the larger model, so that `predict` needs no network afterwards."""

import argparse

from captioner.cli.main import complain
from captioner.cli.parser import Parser
from captioner.model_files.encoder_weights import IMAGENET, keras_file
from captioner.model_files.shipped import shipped_model
from captioner.system.native_stderr import stderr_closed

INTERRUPTED = "stopped; the same command resumes"

EXAMPLES = """\
examples:
  python -m captioner download encoder

Nothing is downloaded twice, and an interrupted download resumes. saved_models/compact needs no download.
"""


def make_parser(program: str) -> argparse.ArgumentParser:
    """Describe the arguments."""
    parser = Parser(
        prog=program,
        description="Download InceptionV3's ImageNet weights (87 MB) to Keras's cache, check them, and prepare "
        "saved_models/flickr8k, which needs them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", metavar="WHAT", choices=("encoder",), help="encoder: InceptionV3's weights")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Fetch and prepare, and say what is there."""
    from captioner.model_files.encoder_download import download_encoder

    news = "InceptionV3's weights are in" if download_encoder() else "InceptionV3's weights were already in"
    complain(f"{news} {keras_file()}")

    from captioner.encoder_network import encoder_network
    from captioner.model_files.directory import CONFIG, CaptionerDirectory
    from captioner.model_files.shipped import shown

    model = shipped_model()
    if (model / CONFIG).is_file():
        with stderr_closed():
            encoder_network(CaptionerDirectory.read(model), IMAGENET)
        complain(f"{shown(model)} is ready: predict uses it from now on")
    return 0

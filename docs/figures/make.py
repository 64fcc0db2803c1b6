"""Make the figures of the pages: `python -m docs.figures.make [--output FOLDER] [NAME ...]`, or `make figures`.

Run from the root of the repository. Every figure is a module beside this one with a function `draw`, which measures
what it shows, with fixed seeds, and returns the files it wrote.
"""

import argparse
import importlib
import os
import sys
import time
from pathlib import Path

from captioner.errors import CaptionerError

RNN = (
    "feed_forward",
    "unfolding",
    "uses",
    "truncation",
    "hello",
    "chain_rule",
    "tanh",
    "gradient_norm",
    "long_dependency",
    "samples",
    "attention_step",
)
"""Those of `docs/rnn.md`, in its order."""

README = ("captioner", "attention_photo")
"""Those of the README; the last needs InceptionV3's weights."""

MEASURED = ("what_decides",)
"""Those that need Flickr8k, too; made only where they are named."""

FIGURES = (*RNN, *README)
NAMED = (*FIGURES, *MEASURED)


def main() -> None:
    """Make all figures, or those that are named."""
    parser = argparse.ArgumentParser(prog="python -m docs.figures.make", description="Make the figures of the pages.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"some of: {', '.join(NAMED)} (default: all but the last)"
    )
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="folder (default: docs/figures)")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(NAMED))
    if unknown:
        parser.error(f"no figure is called {', '.join(unknown)}; there are {', '.join(NAMED)}")
    # Before any figure imports TensorFlow: its notices are no news, a GPU would change the last digits, and the
    # products here are so small that threads would wait for each other longer than they take.
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1", KERAS_BACKEND="tensorflow")
    os.environ.update(TF_NUM_INTRAOP_THREADS="1", TF_NUM_INTEROP_THREADS="1")
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or FIGURES:
        began = time.monotonic()
        try:
            files = importlib.import_module(f"docs.figures.{name}").draw(arguments.output)
        except CaptionerError as error:
            sys.exit(f"{name}: {error}")
        print(f"{name}: {', '.join(path.name for path in files)} ({time.monotonic() - began:.1f} s)", flush=True)


if __name__ == "__main__":
    main()

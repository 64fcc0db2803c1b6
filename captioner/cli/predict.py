"""`predict`: caption photos, or use a language model on a text."""

import argparse
import gc
import os
from pathlib import Path

from captioner.cli.arguments import (
    add_consensus,
    add_encoder_weights,
    add_min_confidence,
    add_model,
    add_precision,
    add_quiet,
    add_sampling,
    add_search,
    add_wording,
    count_up_to,
)
from captioner.cli.parser import Parser
from captioner.cli.predict_text import TEXT_OPTIONS, add_text, run_text
from captioner.config.decoding import MOST_CAPTIONS
from captioner.errors import UsageError

INTERRUPTED = "stopped; the results so far are written"

CAPTION_OPTIONS = (
    *("encoder_weights", "backend", "beam_width", "length_penalty", "no_repeat_ngram_size", "num_captions"),
    *("max_length", "begin", "exclude", "consensus"),
    *("min_score", "min_confidence", "overwrite", "attention", "sidecar"),
    *("embed", "embed_all", "in_place", "append"),
)
"""What only photos have."""

SELDOM = (50_000, 20, 20)
"""How many objects are made before Python looks for cycles among them. At its default, 700, it looks time and again at
what imports make and keep, which takes a fiftieth of the time of a photo."""

EXAMPLES = """\
examples:
  python predict.py photo.jpg                             # the caption, alone on a line
  python predict.py photos/ --format csv --output captions.csv
  python predict.py photos/ --min-confidence 0.6          # only what six of ten words are right in
  python predict.py photos/ --sidecar                     # photos/dog.txt beside photos/dog.jpg
  python predict.py photos/ --embed                       # copies with the caption: photos/dog.captioned.jpg
  python predict.py photos/ --embed --in-place --append   # in the photos, after the words that are there
  python predict.py 'photos/*.jpg' --num-captions 3       # three captions per photo, best first
  python predict.py photo.jpg --attention attention.png   # where the model looked, word by word
  python predict.py photo.jpg --begin "a photo of"        # the caption begins with these words
  python predict.py photos/ --exclude man woman           # no caption has these words; they stand last
  python predict.py photo.jpg --temperature 0.7 --seed 1  # a caption drawn at random
  python predict.py --prompt "ROMEO:" --length 300        # the character model continues the text
  python predict.py --prompt "To be or n" --suggest 5     # the most likely words
  python predict.py --score book.txt                      # how likely the model finds a text
  python predict.py --score book.txt --adapt              # the same, learning from it while reading

After an interruption, run the same command again: it skips the photos that --output already holds.
"""


def make_parser(program: str) -> argparse.ArgumentParser:
    """Describe the arguments."""
    parser = Parser(
        prog=program,
        description="Caption photos. One photo prints its caption; several print lines of PATH<TAB>CAPTION. Or use a "
        "character language model: continue a text, complete a word, or score a text.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        help="a photo, a folder (with its subfolders), a pattern, or - for a photo on standard input",
    )
    model = parser.add_argument_group("model")
    add_model(model)
    add_encoder_weights(model, downloads=False)
    add_search(model)
    add_consensus(model)
    add_precision(model)
    add_wording(parser.add_argument_group("captions"))
    model.add_argument(
        "--backend",
        choices=("litert", "keras"),
        default="litert",
        help="what runs the networks; keras takes seconds to start and is for comparison (default: litert)",
    )
    add_sampling(
        parser.add_argument_group(
            "drawing at random", "For a character language model, and with --temperature for photos."
        )
    )
    _add_output(parser.add_argument_group("output"))
    add_text(parser)
    add_quiet(parser)
    return parser


def _add_output(output: argparse._ArgumentGroup) -> None:
    """Add the options that say what is written, and where."""
    output.add_argument(
        "--num-captions",
        metavar="N",
        type=count_up_to(MOST_CAPTIONS),
        default=1,
        help="captions per photo (default: 1)",
    )
    output.add_argument(
        "--format",
        choices=("text", "json", "csv"),
        default="text",
        help="json writes one line per photo (default: text)",
    )
    output.add_argument(
        "--min-score",
        metavar="X",
        type=_score,
        help="leave out captions with a lower score; each model has its own range, see docs/captions.md",
    )
    add_min_confidence(output)
    output.add_argument(
        "--output",
        metavar="FILE",
        type=Path,
        help="write to this file instead of the terminal; photos that it already holds are skipped",
    )
    output.add_argument(
        "--overwrite",
        action="store_true",
        help="replace what is there: the rows of --output, the texts of --sidecar, the descriptions of --embed, and "
        "pictures of others in the place of those of --attention",
    )
    output.add_argument(
        "--attention",
        metavar="FILE_OR_DIR",
        type=Path,
        help="draw where the model looked: a picture for one photo, a folder of pictures for several",
    )
    output.add_argument(
        "--sidecar", action="store_true", help="write a .txt file beside each photo; an existing one is kept"
    )
    output.add_argument(
        "--embed",
        action="store_true",
        help="write the caption into the EXIF, XMP and, where it has one, IPTC description of a copy, "
        "NAME.captioned.jpg (JPEG and PNG only); an existing description is kept, unless it is blank or a camera's own "
        "such as OLYMPUS DIGITAL CAMERA",
    )
    output.add_argument(
        "--embed-all",
        action="store_true",
        help="with --embed: also write captions of unfamiliar photos, and captions less sure than nine of ten captions "
        "of the model's dev photos",
    )
    output.add_argument("--in-place", action="store_true", help="with --embed: change the photo itself, not a copy")
    output.add_argument(
        "--append",
        action="store_true",
        help="with --embed: add the caption to an existing description, in a line of its own, unless it is there",
    )


def run(arguments: argparse.Namespace) -> int:
    """Caption photos, print the captions, and report errors; or use a language model."""
    gc.set_threshold(*SELDOM)
    if arguments.paths:
        # Read by NumPy as it is imported: the products are too small to share, and photos are read side by side.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if _is_text(arguments):
        from captioner.cli.output_paths import refuse_shared_outputs, refuse_to_replace
        from captioner.cli.results import opened
        from captioner.cli.surprisal import refuse_other_content

        refuse_shared_outputs({"--output": [arguments.output], "--surprise": [arguments.surprise]})
        if arguments.score is not None:
            for option, output in (("--output", arguments.output), ("--surprise", arguments.surprise)):
                refuse_to_replace(option, output, [Path(arguments.score)])
        if arguments.surprise is not None:
            refuse_other_content(arguments.surprise)
        with opened(arguments.output) as file:
            return run_text(arguments, file)

    from captioner.cli.photos import caption_photos

    return caption_photos(arguments)


def _is_text(arguments: argparse.Namespace) -> bool:
    """Return whether a language model is asked for.

    Raises:
        UsageError: nothing is asked for, things of both kinds, or the model is of the other kind.
    """
    from captioner.model_files.directory import CAPTIONER, CHAR_LM, model_kind

    parser = make_parser("predict")
    texts, photos = (
        [f"--{name.replace('_', '-')}" for name in names if getattr(arguments, name) != parser.get_default(name)]
        for names in (TEXT_OPTIONS, CAPTION_OPTIONS)
    )
    photos = [*arguments.paths[:1], *photos]
    if texts and photos:
        raise UsageError(
            f"{', '.join(photos)}: for photos, but {', '.join(texts)} for a language model; leave out one or the other"
        )
    kind = model_kind(arguments.model) if arguments.model is not None else ""
    if photos and kind == CHAR_LM:
        raise UsageError(
            f"{', '.join(photos)}: {arguments.model} is a character language model and sees no photos; give --prompt "
            "or --score, or another --model"
        )
    if texts and kind == CAPTIONER:
        raise UsageError(
            f"{', '.join(texts)}: {arguments.model} is a captioning model; give photos, or another --model"
        )
    if arguments.in_place and not arguments.embed:
        raise UsageError("--in-place says where --embed writes; give both")
    if arguments.embed_all and not arguments.embed:
        raise UsageError("--embed-all says what --embed writes; give both")
    if arguments.append and not arguments.embed:
        raise UsageError("--append says how --embed writes; give both")
    if arguments.append and arguments.overwrite:
        raise UsageError("--append keeps the descriptions that --overwrite replaces; give one of them")
    if not arguments.paths and arguments.exclude:
        raise UsageError("name a photo or a folder; --exclude takes all words behind it, so name them before it")
    if not arguments.paths and not texts:
        raise UsageError("name a photo or a folder; for a character language model, give --prompt or --score")
    return bool(texts)


def _score(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not -float("inf") < value <= 0:
        raise argparse.ArgumentTypeError(f"expected a number up to 0, such as -1.5, found {text!r}")
    return value

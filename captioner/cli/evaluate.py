"""`evaluate`: score a model on a split."""

import argparse
import textwrap
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captioner.cli.arguments import (
    add_consensus,
    add_data,
    add_encoder_weights,
    add_model,
    add_precision,
    add_quiet,
    add_search,
)
from captioner.cli.main import note
from captioner.cli.output_paths import refuse_to_replace
from captioner.cli.parser import Parser
from captioner.config.decoding import DecodingConfig
from captioner.config.options import given
from captioner.data.dataset import CaptionDataset, Example
from captioner.decoding.limits import check_search
from captioner.errors import CaptionerError, UsageError
from captioner.photos.opening import open_photo
from captioner.system.extras import require
from captioner.system.files import read_json, write_json
from captioner.system.native_stderr import load_keras_quietly
from captioner.text import join_words, normalise

GALLERIES = (".png", ".jpg", ".jpeg", ".pdf", ".svg")
"""What `--gallery` may be."""
if TYPE_CHECKING:
    from captioner.training.inputs.split import Split

EXAMPLES = """\
The model captions each photo without its references. All references count for the scores: BLEU-1 to 4, ROUGE-L and
CIDEr-D, x 100, at corpus level. Words are compared in lower case, without punctuation.

examples:
  python -m captioner evaluate --model saved_models/flickr8k --split test
  python -m captioner evaluate --model saved_models/mine --data my_photos --split dev --predictions dev.jsonl
"""


def make_parser(program: str) -> argparse.ArgumentParser:
    """Describe the arguments."""
    parser = Parser(
        prog=program,
        description="Score a model on the dev or test split of a data set.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model(parser, required=True)
    add_data(parser)
    parser.add_argument(
        "--split", choices=("dev", "test"), required=True, help="the photos to caption; use test for a last look only"
    )
    add_encoder_weights(parser)
    add_search(parser)
    add_consensus(parser)
    add_precision(parser, "float32")
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the scores as one JSON object")
    parser.add_argument(
        "--gallery",
        metavar="FILE",
        type=Path,
        help="also draw the photos with the highest, median and lowest CIDEr-D, such as gallery.png",
    )
    parser.add_argument("--predictions", metavar="FILE", type=Path, help="also write each caption as a line of JSON")
    add_quiet(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, write the files asked for, print the table."""
    if arguments.gallery and arguments.gallery.suffix.lower() not in GALLERIES:
        raise UsageError(f"--gallery {arguments.gallery}: expected a picture such as {arguments.gallery}.png")
    require("train", "evaluate")
    from captioner.data.flickr8k import find_or_download

    dataset = find_or_download(arguments.data, arguments.data_format)
    note(dataset.report())
    _check_outputs(arguments, dataset)

    load_keras_quietly()
    from captioner.cli.table import scores_table
    from captioner.models.networks import load_networks
    from captioner.training.devices import prepare_devices
    from captioner.training.evaluation import (
        BATCH_SIZE,
        caption_split,
        describe_captions,
        score_captions,
        with_consensus,
        write_predictions,
    )
    from captioner.training.inputs.split import read_split

    prepare_devices("auto")
    model, encoder = load_networks(arguments.model, arguments.encoder_weights)
    decoding = replace(model.config.decoding, **given(vars(arguments), DecodingConfig))
    check_search(model.config.decoder, decoding, BATCH_SIZE)
    if arguments.precision == "float32":
        split = read_split(dataset, arguments.split, encoder, model.config.encoder)
    else:
        split = _as_predicted(arguments, dataset)
    beams = caption_split(model.network, split, decoding)
    captions = [model.vocabulary.decode(beam[0].tokens) for beam in beams]
    if arguments.predictions:
        write_predictions(arguments.predictions, split, captions)
    metrics = score_captions(captions, split, arguments.split, decoding)
    if arguments.json:
        write_json(arguments.json, metrics, named=True)
    print(scores_table(metrics), flush=True)
    if arguments.consensus and (chosen := with_consensus(arguments.model, model.vocabulary, beams, split)):
        print("\nchosen by consensus:")
        print(scores_table(score_captions(chosen, split, arguments.split, decoding)), flush=True)
    if arguments.gallery:
        _draw(arguments.gallery, describe_captions(captions, split, [])["examples"], dataset.split(arguments.split))
    return 0


def _check_outputs(arguments: argparse.Namespace, dataset: CaptionDataset) -> None:
    """Refuse outputs that would take the place of the data, or of each other.

    Raises:
        UsageError: one of them would.
    """
    outputs = {f"--{name}": getattr(arguments, name) for name in ("json", "gallery", "predictions")}
    outputs = {option: path for option, path in outputs.items() if path is not None}
    photos = [example.image for examples in dataset.splits.values() for example in examples]
    places: dict[Path, str] = {}
    for option, path in outputs.items():
        refuse_to_replace(option, path, photos)
        if other := places.get(path.resolve()):
            raise UsageError(f"{option} {path}: {other} would be written there too; name two files")
        places[path.resolve()] = option
        if option != "--gallery" and path.is_file() and not _is_evaluation(path):
            raise UsageError(f"{option} {path}: holds something else, which would be lost; name another file")


def _is_evaluation(path: Path) -> bool:
    """Return whether `--json` or `--predictions` wrote a file, or it is empty."""
    with path.open(encoding="utf-8", errors="replace") as file:
        line = file.readline(1 << 20)
    if not line or ('"image"' in line and '"references"' in line):
        return True
    try:
        scores = read_json(path, "file of scores")
    except CaptionerError:
        return False
    return isinstance(scores, dict) and {"bleu4", "cider"} <= scores.keys()


def _as_predicted(arguments: argparse.Namespace, dataset: CaptionDataset) -> "Split":
    """Read a split through the encoder that predicts, in int8."""
    from captioner.encoder_network import encoder_network
    from captioner.model_files.directory import CaptionerDirectory
    from captioner.runtime.encoder import LiteRTEncoder
    from captioner.training.inputs.litert_features import litert_features
    from captioner.training.inputs.split import read_pixel_split

    model = CaptionerDirectory.read(arguments.model)
    network = encoder_network(model, arguments.encoder_weights, arguments.precision)
    pixels = read_pixel_split(dataset, arguments.split, model.config.encoder.image_size)
    return litert_features(pixels, LiteRTEncoder(network))


def _draw(path: Path, chosen_by_score: dict[str, list[dict[str, Any]]], photos: Iterable[Example]) -> None:
    from captioner.plots import draw_gallery

    files = {  # photos in different folders may have one name
        (example.image.name, join_words(normalise(caption))): example.image
        for example in photos
        for caption in example.captions
    }

    def text(each: dict[str, Any]) -> str:
        generated, person = (textwrap.fill(each[name], 36) for name in ("caption", "reference"))
        return f"{generated}\n({each['cider']:.0f})\n\na person: {person}"

    rows = [
        (f"{name} CIDEr-D", [(open_photo(files[each["image"], each["reference"]]), text(each)) for each in some])
        for name, some in chosen_by_score.items()
    ]
    draw_gallery(path, rows)

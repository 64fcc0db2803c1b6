"""Make what prediction in int8 needs: templates of InceptionV3, and the roundings of kernels.

    python -m captioner.export.int8 templates
    python -m captioner.export.int8 kernels --data DIR --encoder-weights FILE
    python -m captioner.export.int8 model saved_models/mine --data DIR --encoder-weights FILE

The first two write into the package. The third adds to a model directory what the end of a training adds. The second
and third read 48 training photos; only the direction in which each weight is rounded is kept of them.
"""

import argparse
from pathlib import Path

from captioner.config.model import EncoderConfig
from captioner.data.flickr8k import find_or_download
from captioner.export.compact import int8_network
from captioner.export.template import make_template
from captioner.model_files.directory import INT8_NETWORK, ROUNDINGS, CaptionerDirectory, describe
from captioner.model_files.encoder_weights import default_encoder_weights
from captioner.model_files.roundings import load_roundings, pack_roundings
from captioner.models.encoder import build_encoder
from captioner.models.networks import load_networks
from captioner.runtime import prepared_encoder
from captioner.runtime.prepared_encoder import FLOAT32, INT8
from captioner.system.atomic import atomic_write
from captioner.training.fitting.roundings import model_roundings

ENCODER = EncoderConfig("InceptionV3", "mixed8", 299)


def main() -> None:
    """Make one of the three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("templates", "kernels", "model"))
    parser.add_argument("model", type=Path, nargs="?", help="a model directory")
    parser.add_argument("--data", metavar="DIR", help="Flickr8k (default: $CAPTIONER_DATA)")
    parser.add_argument("--encoder-weights", metavar="FILE", default=default_encoder_weights(), help="InceptionV3's")
    arguments = parser.parse_args()
    if arguments.what == "templates":
        for path in (FLOAT32, INT8):
            make_template(build_encoder(ENCODER, None), int8=path == INT8).save(path)
        return
    photos = [example.image for example in find_or_download(arguments.data).split("train")]
    if arguments.what == "kernels":
        encoder = build_encoder(ENCODER, arguments.encoder_weights)
        _write(prepared_encoder.ROUNDINGS, pack_roundings(model_roundings(encoder, photos)))
    else:
        add_int8(arguments.model, arguments.encoder_weights, photos)


def add_int8(directory: Path, encoder_weights: str, photos: list[Path]) -> None:
    """Add to a model directory what it needs to read photos in int8.

    Raises:
        CaptionerError: the directory, the weights or the photos cannot be used.
        OSError: the directory cannot be written to, or the disk is full.
    """
    model = CaptionerDirectory.read(directory)
    _, encoder = load_networks(directory, encoder_weights)
    known = load_roundings(prepared_encoder.ROUNDINGS)
    found = model_roundings(encoder, photos, known)
    name = INT8_NETWORK if model.is_compact else ROUNDINGS
    _write(directory / name, int8_network(encoder, found) if model.is_compact else pack_roundings(found))
    describe(directory, model.config, list(dict.fromkeys([*model.manifest, name])), model.tensors, model.known)


def _write(path: Path, content: bytes) -> None:
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


if __name__ == "__main__":
    main()

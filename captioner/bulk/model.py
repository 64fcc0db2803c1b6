"""A model that travels to the workers: these need neither its directory, nor InceptionV3's weights, nor a cache."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from captioner.config import DecodingConfig, ModelConfig
from captioner.data.model_files import read_words
from captioner.errors import CaptionerError
from captioner.library import read_or_make
from captioner.runtime import bundle
from captioner.runtime.captioner import Captioner, Encoder
from captioner.runtime.decoder import DecoderNetwork
from captioner.runtime.encoder import LiteRTEncoder
from captioner.text import Vocabulary


@dataclass(frozen=True)
class PackedModel:
    """All that captions are made with.

    Attributes:
        vocabulary: the words behind the decoder's numbers.
        config: of the networks.
        decoding: how to search.
        num_captions: candidates a photo.
        encoder: a network for ONNX Runtime, or for LiteRT where the model has no other.
        is_onnx: which of the two it is.
        decoder: the decoder's weights by name.
    """

    vocabulary: Vocabulary
    config: ModelConfig
    decoding: DecodingConfig
    num_captions: int
    encoder: bytes
    is_onnx: bool
    decoder: dict[str, np.ndarray]

    def unpack(self) -> Captioner:
        """Load it."""
        encoder: Encoder
        if self.is_onnx:
            from captioner.runtime.onnx_encoder import OnnxEncoder

            encoder = OnnxEncoder(self.encoder)
        else:
            encoder = LiteRTEncoder(self.encoder)
        network = DecoderNetwork(self.config.decoder, self.decoder)
        return Captioner(self.vocabulary, encoder, network, self.decoding, self.num_captions)


def pack(
    directory: Path,
    encoder_weights: str,
    *,
    beam_width: int | None = None,
    length_penalty: float | None = None,
    num_captions: int = 1,
    report: Callable[[str], object] = lambda line: None,
) -> PackedModel:
    """Read a model directory, and make first what prediction reads, if that is missing; see `library.Captioner.load`.

    Raises:
        CaptionerError: the directory or the weights cannot be used.
    """
    config, vocabulary = read_words(directory)
    ready = bundle.read_ready(directory, config)
    network, decoder = ready or read_or_make(directory, config, encoder_weights, report)
    onnx = None
    if ready is None and (path := bundle.encoder_path(config.encoder, encoder_weights)) and path.exists():
        try:
            onnx = bundle.read_onnx(path)
        except CaptionerError as error:
            report(f"{error}; the photos are read in LiteRT, which takes longer; delete {path} to have it made again")
    given: dict[str, Any] = {"beam_width": beam_width, "length_penalty": length_penalty}
    decoding = replace(config.decoding, **{name: value for name, value in given.items() if value is not None})
    return PackedModel(vocabulary, config, decoding, num_captions, onnx or network, onnx is not None, decoder)

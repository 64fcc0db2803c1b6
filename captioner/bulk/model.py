"""A model in the form that is sent to the workers: they need no model directory, InceptionV3 weights or cache."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from captioner.config.decoding import DecodingConfig, SamplingConfig, WordingConfig
from captioner.config.model import ModelConfig
from captioner.decoding.limits import check_search
from captioner.encoder_network import encoder_network, prepared_network
from captioner.library import check_wording, search_settings
from captioner.model_files.calibration import Calibration
from captioner.model_files.directory import CONFIG, CaptionerDirectory
from captioner.model_files.ngram_regression import NgramRegression
from captioner.runtime.captioner import AT_ONCE, Captioner
from captioner.runtime.decoder import DecoderNetwork
from captioner.runtime.encoder import LiteRTEncoder
from captioner.system.checksums import checksum
from captioner.text import Vocabulary

ANY_WORDS = WordingConfig()


@dataclass(frozen=True)
class PackedModel:
    """Everything that captioning needs.

    Attributes:
        vocabulary: the words behind the decoder's numbers.
        config: of the networks.
        decoding: how to search.
        num_captions: candidates a photo.
        wording: what captions must and must not say.
        sampling: how they are drawn at random; None where they are searched for.
        encoder: a network for LiteRT.
        decoder: the decoder's weights by name.
        calibration: how sure captions are; None where the model does not know.
        ngram_regression: what captions are chosen by; None where the model does not choose.
    """

    vocabulary: Vocabulary
    config: ModelConfig
    decoding: DecodingConfig
    num_captions: int
    wording: WordingConfig
    sampling: SamplingConfig | None
    encoder: bytes
    decoder: dict[str, np.ndarray]
    calibration: Calibration | None
    ngram_regression: NgramRegression | None

    def unpack(self) -> Captioner:
        """Load it."""
        network = DecoderNetwork(self.config.decoder, self.decoder)
        captioner = Captioner(self.vocabulary, LiteRTEncoder(self.encoder), network, self.decoding, self.num_captions)
        captioner.calibration, captioner.ngram_regression = self.calibration, self.ngram_regression
        return captioner.with_settings(wording=self.wording, sampling=self.sampling)


def find_encoder(
    directory: Path, encoder_weights: str, precision: str, published: bool = False
) -> tuple[CaptionerDirectory, bytes]:
    """Read a model directory, and its encoder as a network for LiteRT, which is made first if it is missing.

    Args:
        directory: of the model.
        encoder_weights: a file, or "imagenet" for Keras's own.
        precision: how the encoder computes; see `captioner.config.model.ENCODER_PRECISIONS`.
        published: leave out the encoder's layers that were trained along, for features that another training begins
            with.

    Raises:
        CaptionerError: the directory or the weights cannot be used.
    """
    whole = CaptionerDirectory.read(directory)
    model = _published(whole) if published else whole
    find = encoder_network if model.config == whole.config else prepared_network
    return model, find(model, encoder_weights, precision)


def pack(
    model: CaptionerDirectory,
    encoder: bytes,
    *,
    num_captions: int = 1,
    wording: WordingConfig = ANY_WORDS,
    sampling: SamplingConfig | None = None,
    **search: Any,
) -> PackedModel:
    """Pack a model with its encoder.

    Args:
        model: its directory.
        encoder: as `find_encoder` gives it.
        num_captions: candidates a photo.
        wording: what captions must and must not say.
        sampling: how they are drawn at random; None searches for them.
        search: fields of `DecodingConfig` that take the place of the model's own.

    Raises:
        CaptionerError: the directory cannot be used.
    """
    config, vocabulary = model.config, model.vocabulary()
    decoding = search_settings(config.decoding, **search)
    check_wording(vocabulary, wording, decoding.max_length)
    check_search(config.decoder, replace(decoding, beam_width=max(decoding.beam_width, num_captions)), AT_ONCE)
    known = model.calibration(), model.ngram_regression()
    return PackedModel(vocabulary, config, decoding, num_captions, wording, sampling, encoder, model.decoder(), *known)


def _published(model: CaptionerDirectory) -> CaptionerDirectory:
    encoder = replace(model.config.encoder, fine_tune_after="")
    return replace(model, config=replace(model.config, encoder=encoder))


def describe(directory: Path, published: bool = False) -> dict[str, Any]:
    """Describe the model that makes captions or features.

    Args:
        directory: of the model.
        published: see `find_encoder`.

    Returns:
        `model`, its name and a checksum of its configuration, which has those of the weights; `encoder`; and `shape`
        of a photo's features, [L, D].

    Raises:
        CaptionerError: this is no model directory.
    """
    model = CaptionerDirectory.read(directory)
    config = _published(model).config if published else model.config
    return {
        "model": f"{directory.resolve().name} {checksum((directory / CONFIG).read_bytes())}",
        "encoder": asdict(config.encoder),
        "shape": [config.decoder.locations, config.decoder.channels],
    }

"""The `Captioner` that people import: it joins the runtime and the exports, which do not know each other."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from captioner.cli.arguments import default_encoder_weights
from captioner.cli.quiet import load_keras
from captioner.config import Checksums, DecodingConfig, ModelConfig, load_config
from captioner.data.model_files import CONFIG, check_features, check_networks, own_encoder, read_words
from captioner.quiet import stderr_closed
from captioner.runtime import bundle
from captioner.runtime.captioner import Captioner as LoadedCaptioner
from captioner.runtime.decoder import DecoderNetwork
from captioner.runtime.encoder import LiteRTEncoder

BACKENDS = ("litert", "keras")


class Captioner(LoadedCaptioner):
    """A captioning model ready for use: `Captioner.load("saved_models/flickr8k")("photo.jpg").text`."""

    @classmethod
    def load(
        cls,
        model: str | Path,
        encoder_weights: str | Path | None = None,
        *,
        beam_width: int | None = None,
        length_penalty: float | None = None,
        num_captions: int = 1,
        backend: str = "litert",
        report: Callable[[str], object] = lambda line: None,
    ) -> "Captioner":
        """Load a model directory; settings of the search that are not given are the model's own.

        A directory with a ready bundle, such as `captioner export --format litert` writes, is read as it is, whatever
        `encoder_weights` says. For another one, Keras and TensorFlow are imported the first time and the networks are
        converted, which takes some 20 seconds; the result is kept in the cache. From then on neither is imported.

        Args:
            model: what `train.py` or `captioner export --format litert` wrote.
            encoder_weights: InceptionV3's weights; not given, $CAPTIONER_ENCODER_WEIGHTS, then Keras's own.
            beam_width: sentences followed at once.
            length_penalty: above 0 favours longer captions.
            num_captions: candidates a photo.
            backend: `keras` runs the networks in Keras, for comparison.
            report: takes lines for people, when something takes long or is not as usual.

        Raises:
            CaptionerError: the directory or the weights cannot be used.
        """
        if backend not in BACKENDS:
            raise ValueError(f"backend: expected one of {', '.join(BACKENDS)}, found {backend!r}")
        directory = Path(model)
        weights = str(encoder_weights or default_encoder_weights())
        config, vocabulary = read_words(directory)
        decoding = _with(config.decoding, beam_width=beam_width, length_penalty=length_penalty)
        if backend == "keras":
            load_keras()
            from captioner.models.encoder import KerasEncoder
            from captioner.models.networks import load_networks

            saved, encoder = load_networks(directory, weights)
            return cls(vocabulary, KerasEncoder(encoder), saved.network, decoding, num_captions)
        network, arrays = read_or_make(directory, config, weights, report)
        litert = LiteRTEncoder(network)
        check_features(directory, config, litert.feature_shape)
        return cls(vocabulary, litert, DecoderNetwork(config.decoder, arrays), decoding, num_captions)


def _with(decoding: DecodingConfig, **given: Any) -> DecodingConfig:
    return replace(decoding, **{name: value for name, value in given.items() if value is not None})


def read_or_make(
    directory: Path, config: ModelConfig, weights: str, report: Callable[[str], object]
) -> tuple[bytes, dict[str, np.ndarray]]:
    """Return the encoder of a model directory as a LiteRT network, and the decoder's weights by name.

    They come from the directory's own bundle, or from the cache; what that has not is made.

    Args:
        directory: what `train.py` or `captioner export --format litert` wrote.
        config: what the directory says about the model.
        weights: the encoder's, a file, or "imagenet" for Keras's own; not used where the directory has its own.
        report: takes lines for people.

    Raises:
        CaptionerError: the directory or the weights cannot be used.
    """
    ready = bundle.read_ready(directory, config.decoder)
    if ready is not None:
        return ready
    check_networks(directory, config)
    weights = str(own_encoder(directory, config) or weights)
    encoder_path = bundle.encoder_path(config.encoder, weights)
    network = bundle.read_encoder(encoder_path) if encoder_path else None
    decoder_path = bundle.decoder_path(config.decoder, load_config(directory / CONFIG, "checksums", Checksums))
    arrays = bundle.read_decoder(decoder_path, config.decoder)
    if network is not None and arrays is not None:
        return network, arrays

    report(f"preparing {directory} for fast starts; this takes some 20 seconds, once")
    load_keras()
    from captioner.models.directory import load_model
    from captioner.models.networks import load_networks

    if network is None:
        saved, encoder = load_networks(directory, weights)
        network = _converted(encoder)
    else:
        saved = load_model(directory)
    arrays = saved.network.named_weights()
    try:
        if encoder_path:
            bundle.save_encoder(encoder_path, network)
        bundle.save_decoder(decoder_path, arrays)
    except OSError as error:
        report(f"{decoder_path.parent}: {error.strerror}; what was prepared cannot be kept for the next time")
    return network, arrays


def _converted(encoder: Any) -> bytes:
    from captioner.export.litert import convert_encoder

    with stderr_closed():  # the converter tells of each of its steps
        return convert_encoder(encoder)

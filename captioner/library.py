"""The public `Captioner`, which joins the runtime and the exports."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from captioner.config.decoding import MOST_CAPTIONS, DecodingConfig, SamplingConfig, WordingConfig
from captioner.config.model import ENCODER_PRECISIONS
from captioner.config.serialization import from_json, to_json
from captioner.decoding.captions import Network
from captioner.decoding.limits import check_search
from captioner.decoding.wording import worded
from captioner.encoder_network import encoder_network, encoder_path, needed_weights
from captioner.errors import CaptionerError, UsageError
from captioner.model_files.directory import CONFIG, CaptionerDirectory
from captioner.model_files.encoder_weights import IMAGENET, INCEPTION, default_encoder_weights, is_here
from captioner.model_files.shipped import model_directory, shipped_model, shown
from captioner.runtime.captioner import AT_ONCE, Encoder
from captioner.runtime.captioner import Captioner as LoadedCaptioner
from captioner.runtime.decoder import DecoderNetwork
from captioner.runtime.encoder import LiteRTEncoder
from captioner.system.extras import require
from captioner.system.native_stderr import load_keras
from captioner.text import Vocabulary

log = logging.getLogger(__name__)

BACKENDS = ("litert", "keras")

ONCE = {"once": True}
"""Marks log messages that a command shows a user once, and not at every run."""

Settings = TypeVar("Settings")


class Captioner(LoadedCaptioner):
    """A captioning model ready for use: `Captioner.load("saved_models/flickr8k")("photo.jpg").text`."""

    @classmethod
    def load(
        cls,
        model: str | Path | None = None,
        encoder_weights: str | Path | None = None,
        *,
        beam_width: int | None = None,
        length_penalty: float | None = None,
        no_repeat_ngram_size: int | None = None,
        max_length: int | None = None,
        num_captions: int = 1,
        begin: str = "",
        exclude: Sequence[str] = (),
        temperature: float | None = None,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | None = None,
        consensus: bool = True,
        precision: str = "auto",
        backend: str = "litert",
    ) -> "Captioner":
        """Load a model directory; settings of the search that are not given are the model's own.

        A compact model, and what `captioner export --format litert` writes, is read as it is, whatever
        `encoder_weights` says. Any other reads photos with a network of `keras.applications`, which is prepared once
        and kept in the cache: InceptionV3 in a second, without Keras; another one by Keras and TensorFlow, which are
        imported then. InceptionV3's weights are never downloaded; those of other networks Keras downloads where it has
        not got them.

        Args:
            model: what `train.py` or `captioner export --format litert` wrote, or the name of a shipped model, such as
                "compact"; not given, see `default_model`.
            encoder_weights: InceptionV3's weights; not given, $CAPTIONER_ENCODER_WEIGHTS, then Keras's own.
            beam_width: sentences followed at once.
            length_penalty: above 0 favours longer captions.
            no_repeat_ngram_size: so many words in a row are not said twice in a caption; 2 also prevents "white and
                white"; 0 allows both.
            max_length: the most words of a caption, its end counted.
            num_captions: candidates a photo.
            begin: words that each caption begins with.
            exclude: words that no caption has; those that the model does not know are logged.
            temperature: given, captions are drawn at random, in the order in which they come; below 1 is more careful,
                above 1 more daring, and 0 always takes the likeliest word.
            top_k: draw from so many likeliest words; 0 means all.
            top_p: draw from the likeliest words that hold this probability together; 1 means all.
            seed: the same draws the same captions of a photo, whatever is captioned beside it; None draws others each
                time.
            consensus: choose among the captions that the search finds by what people say of such photos;
                False takes what the network alone finds likeliest.
            precision: how the encoder computes: "float32"; "int8", in a third of the time; or "auto", which is int8
                where it costs next to nothing in captions.
            backend: `keras` runs the networks in Keras, for comparison.

        What takes long or is not as usual is logged as a warning of `captioner`.

        Raises:
            CaptionerError: the directory, the weights or a setting of captions cannot be used.
            ValueError: another argument is out of its bounds.
        """
        if backend not in BACKENDS:
            raise ValueError(f"backend: expected one of {', '.join(BACKENDS)}, found {backend!r}")
        if precision not in ENCODER_PRECISIONS:
            raise ValueError(f"precision: expected one of {', '.join(ENCODER_PRECISIONS)}, found {precision!r}")
        weights = str(encoder_weights or default_encoder_weights())
        directory = CaptionerDirectory.read(default_model(weights) if model is None else model_directory(model))
        config, vocabulary = directory.config, directory.vocabulary()
        decoding = search_settings(
            config.decoding,
            beam_width=beam_width,
            length_penalty=length_penalty,
            no_repeat_ngram_size=no_repeat_ngram_size,
            max_length=max_length,
        )
        if not 1 <= num_captions <= MOST_CAPTIONS:
            raise ValueError(f"num_captions: expected a number from 1 to {MOST_CAPTIONS}, found {num_captions}")
        words = exclude if isinstance(exclude, str) else list(exclude)  # a string is a list of letters, and refused
        wording = _checked(WordingConfig(), begin=begin, exclude=words)
        sampling = _checked(SamplingConfig(), top_k=top_k, top_p=top_p, seed=seed)
        if temperature is not None:
            sampling = _checked(sampling, temperature=temperature)
        elif sampling != SamplingConfig():
            raise ValueError("top_k, top_p, seed: for captions that are drawn at random; give temperature, such as 0.7")
        check_wording(vocabulary, wording, decoding.max_length)
        widest = replace(decoding, beam_width=max(decoding.beam_width, num_captions))
        check_search(config.decoder, widest, AT_ONCE)
        encoder, network = _load_networks(directory, weights, backend, precision)
        captioner = cls(vocabulary, encoder, network, decoding, num_captions)
        captioner.calibration = directory.calibration()
        captioner.ngram_regression = directory.ngram_regression() if consensus else None
        return captioner.with_settings(wording=wording, sampling=None if temperature is None else sampling)


def check_wording(vocabulary: Vocabulary, wording: WordingConfig, max_length: int) -> None:
    """Check what captions are to say, and log the excluded words that the model does not know.

    Raises:
        CaptionerError: `begin` has unknown words or is too long, or an excluded word is not one word.
    """
    _, unknown = worded(vocabulary, wording, max_length)
    if unknown:
        log.warning(f"exclude: the model does not know {', '.join(map(repr, unknown))}, so no caption has it")


def require_calibration(model: str | Path | LoadedCaptioner) -> None:
    """Check that a model knows how sure its captions are.

    Args:
        model: its directory, of which only the configuration is read, or the model itself.

    Raises:
        UsageError: it does not; the message says how it learns to.
        CaptionerError: this is no model directory.
    """
    if isinstance(model, LoadedCaptioner):
        is_known, name, directory = model.calibration is not None, "the model", "DIR"
    else:
        is_known = CaptionerDirectory.read(Path(model)).doubt is not None
        name = directory = str(model)
    if not is_known:
        raise UsageError(
            f"{name} does not know how sure it is; run `python -m captioner calibrate --model {directory}`"
        )


def _checked(settings: Settings, **given: Any) -> Settings:
    """Return settings with those that are given in their place."""
    return from_json(type(settings), to_json(settings) | given, "Captioner.load")


def _load_networks(model: CaptionerDirectory, weights: str, backend: str, precision: str) -> tuple[Encoder, Network]:
    """Return a model's encoder and decoder."""
    directory, config = model.path, model.config
    if backend == "keras":
        require("train", "the backend keras", "tensorflow", "keras")
        weights = needed_weights(model, weights)
        load_keras()
        from captioner.models.encoder import KerasEncoder
        from captioner.models.networks import load_networks

        saved, encoder = load_networks(directory, weights)
        return KerasEncoder(encoder), saved.network
    arrays = model.decoder()  # before the work
    network = encoder_network(model, weights, precision)
    try:
        litert = LiteRTEncoder(network)
    except (ValueError, RuntimeError, LookupError) as error:  # whose checksum is right may still be no network
        raise CaptionerError(
            f"the encoder of {directory} is no network that LiteRT can run ({error}); copy or export the directory "
            "again"
        ) from error
    if litert.image_size != config.encoder.image_size:
        raise CaptionerError(
            f"{directory}: the encoder reads images of {litert.image_size} pixels, but {CONFIG} expects "
            f"{config.encoder.image_size}; the files are from different models"
        )
    model.check_features(litert.feature_shape)
    return litert, DecoderNetwork(config.decoder, arrays)


def default_model(weights: str) -> Path:
    """Choose between the shipped models, and log which and how to get the other.

    It is `saved_models/flickr8k` where that can be read: InceptionV3's weights are at hand, since a file is named, or
    Keras has them, or they have been prepared; or it needs none, since somebody put a compact model or an export with a
    bundle there. Else it is the compact one.

    Args:
        weights: the encoder's, a file, or "imagenet" for Keras's own.
    """
    large, compact = shipped_model(), shipped_model("compact")
    if not (compact / CONFIG).is_file():
        return large
    model = CaptionerDirectory.read(large) if (large / CONFIG).is_file() else None
    if model and model.is_ready:
        log.warning(f"captioning with {shown(large)}", extra=ONCE)
        return large
    if model and has_encoder(model, weights):
        log.warning(f"captioning with {shown(large)}; --model compact is smaller and quicker", extra=ONCE)
        return large
    more = "; `python -m captioner download encoder` gets them for flickr8k, which describes photos better"
    reason = f"since InceptionV3's weights are not here{more if model else ''}"
    log.warning(f"captioning with {shown(compact)}, {reason}", extra=ONCE)
    return compact


def has_encoder(model: CaptionerDirectory, weights: str) -> bool:
    """Return whether a model can read photos: it has its encoder, or the weights are at hand, or were once prepared.

    Args:
        model: its directory.
        weights: the encoder's, a file, or "imagenet" for Keras's own.
    """
    if model.is_ready or model.config.encoder.network != INCEPTION or weights != IMAGENET or is_here():
        return True
    prepared = encoder_path(model, IMAGENET)
    return prepared is not None and prepared.is_file()


def search_settings(decoding: DecodingConfig, **given: Any) -> DecodingConfig:
    """Return a model's own settings of the search, with those that are given in their place.

    Raises:
        CaptionerError: one is of another type or out of bounds.
    """
    return _checked(decoding, **{name: value for name, value in given.items() if value is not None})

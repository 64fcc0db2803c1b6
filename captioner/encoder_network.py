"""The encoder of a model directory as a LiteRT network: the directory's own, or one made from its weights and cached.

InceptionV3 is made without TensorFlow (`captioner.runtime.prepared_encoder`), which converts other networks of
`keras.applications`.
"""

import logging
import os
from pathlib import Path

from captioner.errors import CaptionerError
from captioner.model_files.directory import CONFIG, INT8_NETWORK, NETWORK, ROUNDINGS, TUNED, CaptionerDirectory
from captioner.model_files.encoder_memory import check_encoder
from captioner.model_files.encoder_weights import BY_OTHER_MEANS, IMAGENET, INCEPTION, is_here, keras_file, weights_of
from captioner.model_files.network_trial import read_network
from captioner.model_files.roundings import load_roundings
from captioner.model_files.shipped import shipped_model
from captioner.runtime import encoder_cache
from captioner.runtime.prepared_encoder import has_template, prepare_encoder, tuned_convolutions, tuned_shapes
from captioner.system.atomic import sweep
from captioner.system.extras import require
from captioner.system.home import home, is_private
from captioner.system.native_stderr import load_keras

log = logging.getLogger(__name__)


def encoder_network(model: CaptionerDirectory, weights: str, precision: str = "auto") -> bytes:
    """Return the encoder of a model directory as a LiteRT network.

    Args:
        model: what `train.py` or `captioner export --format litert` wrote.
        weights: the encoder's, a file, or "imagenet" for Keras's own; not used where the directory has the network.
        precision: one of `config.ENCODER_PRECISIONS`.

    Raises:
        CaptionerError: the directory or the weights cannot be used, or there is no such encoder in int8.
    """
    if model.is_ready:
        if precision == "int8" and INT8_NETWORK not in model.manifest:
            raise _no_int8(model)
        return read_network(model, NETWORK if precision == "float32" else model.fastest_network)
    return prepared_network(model, weights, precision)


def prepared_network(model: CaptionerDirectory, weights: str, precision: str = "auto") -> bytes:
    """Do as `encoder_network` does, for any network in the directory; it is the encoder that its `config` names."""
    model.check()
    path = encoder_path(model, weights, precision)
    network = encoder_cache.read_encoder(path) if path else None
    if network is not None:
        return network
    check_encoder(model.path / CONFIG, model.config.encoder)
    weights = needed_weights(model, weights)
    network = _made(model, weights, precision)
    if path:
        try:
            sweep(path.parent)
            encoder_cache.save_encoder(path, network)
        except OSError as error:
            log.warning(f"{path.parent}: {error.strerror}; what was prepared cannot be kept for the next time")
    if is_private() and not os.environ.get("XDG_CACHE_HOME"):
        log.warning(
            f"no home directory is known, so what is prepared is kept in {home()}; XDG_CACHE_HOME names another place"
        )
    return network


def encoder_path(model: CaptionerDirectory, weights: str, precision: str = "auto") -> Path | None:
    """Name the file in the cache of a model's encoder, with its own last layers where it has some.

    Args:
        model: its directory.
        weights: a file, or "imagenet" for Keras's own; None is returned where there is no such file.
        precision: one of `config.ENCODER_PRECISIONS`.
    """
    encoder = model.config.encoder
    tuned = f"{model.tuned_checksum} {model.manifest.get(ROUNDINGS, '')}" if encoder.fine_tune_after else ""
    if precision == "auto" and not has_template(encoder):
        precision = "float32"  # which is all that there is
    return encoder_cache.encoder_path(encoder, weights_of(encoder.network, weights), tuned, precision)


def needed_weights(model: CaptionerDirectory, weights: str) -> str:
    """Return the file with the encoder's weights, so that nothing is downloaded.

    Args:
        model: its directory.
        weights: a file, or "imagenet" for Keras's own.

    Raises:
        CaptionerError: InceptionV3's weights are not there; the message says how to get them.
    """
    if weights != IMAGENET or model.config.encoder.network != INCEPTION:
        return weights
    if is_here():
        return str(keras_file())
    compact = shipped_model("compact")
    other = "; or caption with --model compact, which needs none" if (compact / CONFIG).is_file() else ""
    raise CaptionerError(
        f"{model.path} reads photos with InceptionV3, whose weights (87 MB) are not here: run `python -m captioner "
        f"download encoder`; {BY_OTHER_MEANS}{other}"
    )


def _made(model: CaptionerDirectory, weights: str, precision: str) -> bytes:
    encoder = model.config.encoder
    if has_template(encoder):
        after = encoder.fine_tune_after
        tuned = tuned_convolutions(after, model.arrays(TUNED, tuned_shapes(after))) if after else []
        own = load_roundings(model.file(ROUNDINGS)) if after and ROUNDINGS in model.manifest else {}
        return prepare_encoder(Path(weights), tuned, own, precision)
    if precision == "int8":
        raise _no_int8(model)
    require("train", f"preparing {model.path}, which reads photos with {encoder.network},", "tensorflow", "keras")
    log.warning(f"preparing {model.path} for fast starts; this takes about 20 seconds, once")
    load_keras()
    from captioner.export.litert import convert_encoder
    from captioner.models.networks import load_encoder

    network = load_encoder(model, weights)
    model.check_features(network.output_shape[1:])
    return convert_encoder(network)


def _no_int8(model: CaptionerDirectory) -> CaptionerError:
    return CaptionerError(
        f"--precision int8: it is not known how to round the encoder of {model.path} ({model.config.encoder.network}); "
        "leave the setting out"
    )

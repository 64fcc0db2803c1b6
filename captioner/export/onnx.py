"""The captioner's networks in ONNX, for runtimes and languages that have neither TensorFlow nor Python."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from captioner import __version__
from captioner.config.model import ModelConfig
from captioner.decoding.wording import SPECIAL
from captioner.export.directory import atomic_directory
from captioner.layers.decoder import Memory
from captioner.model_files.encoder_memory import check_conversion
from captioner.models.captioner import CaptionModel
from captioner.models.networks import load_networks
from captioner.system.native_stderr import load_onnxruntime
from captioner.text import FALSE_SPACES, Vocabulary, is_unspaced

OPSET = 18

IMAGES, SENTENCES = "images", "sentences"
"""What the axes are called whose lengths the caller chooses: B photos, and K sentences of each."""


def export_onnx(model: Path, encoder_weights: str, output: Path) -> None:
    """Write the captioning model in the directory `model` as three networks.

    encoder.onnx: images (B, S, S, 3) -> features (B, L, D).
    start.onnx: features -> values (B, L, U) and keys (B, L, A), which every step looks at, and state_1 (B, 1, U), ...
    step.onnx: tokens int32 (B, K), state_1 (B, K, U), ..., values, keys -> log_probs (B, K, V), next_state_1, ...,
        attention (B, K, L). The search is the caller's (`captioner.decoding.beam`).

    The metadata of each has what a client needs besides, see `metadata`.

    Args:
        model: what `train.py` wrote.
        encoder_weights: a file with InceptionV3's weights, or "imagenet" for Keras's own.
        output: the directory to make; a former export there is replaced, whole or not at all.

    Raises:
        CaptionerError: the model or the weights cannot be read, the conversion would take too much memory, or `output`
            holds something else.
        OSError: `output` cannot be made.
    """
    saved, encoder = load_networks(model, encoder_weights)
    about = metadata(saved.config, saved.vocabulary)
    with atomic_directory(output, format="onnx", model="captioner", tensorflow=tf.__version__) as temporary:
        (temporary / "encoder.onnx").write_bytes(_encoder(encoder, about))
        (temporary / "start.onnx").write_bytes(_start(saved.network, about))
        (temporary / "step.onnx").write_bytes(_step(saved.network, about))


def metadata(config: ModelConfig, vocabulary: Vocabulary) -> dict[str, str]:
    """Tell how photos become images, how to search for captions, and how tokens become text; each value is JSON.

    Two rules of the search need no setting: no token follows itself, and of hypotheses those that ended come first. A
    third one applies where `no_repeat_ngram_size` is 2: no token comes again right after one with a lower number.
    """
    about = {
        "image_size": config.encoder.image_size,
        "image_channels": "RGB",
        "image_resize": "upright, over white, Pillow's Image.resize((image_size, image_size), BILINEAR)",
        "image_range": [-1, 1],
        "start_token": SPECIAL.start,
        "end_token": SPECIAL.end,
        "banned_tokens": list(SPECIAL.banned),
        **asdict(config.decoding),
        "score": "log-probability / length ** length_penalty, the end token counted",
        "tokens": vocabulary.tokens,
        "false_spaces": FALSE_SPACES if any(map(is_unspaced, vocabulary.tokens)) else [],
        "captioner_version": __version__,
        "tensorflow_version": tf.__version__,
    }
    return {name: json.dumps(value) for name, value in about.items()}


def convert_encoder(encoder: keras.Model) -> bytes:
    """Turn an encoder into an ONNX network, images (B, S, S, 3) to features (B, L, D).

    Constants are folded, and batch normalisation is part of the weights, by ONNX Runtime: it would do so each time that
    it loads the network, in the time that ten photos take. What it fits to the processor it does as it loads this one.

    Raises:
        CaptionerError: the conversion would take too much memory.
    """
    return _optimised(_encoder(encoder))


def _optimised(network: bytes) -> bytes:
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # The level above makes operations of ONNX Runtime's own, which another version of it may not know.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.onnx")
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
        return path.read_bytes()


def _encoder(encoder: keras.Model, about: Mapping[str, str] | None = None) -> bytes:
    check_conversion(encoder.count_params())
    images = tf.TensorSpec(encoder.input_shape, tf.float32, "images")
    return _converted(lambda images: {"features": encoder(images, training=False)}, [images], about)


def _start(network: CaptionModel, about: Mapping[str, str]) -> bytes:
    config, decoder = network.config, network.decoder

    def start(features: Any) -> dict[str, Any]:
        memory = decoder.memory(features)
        states = decoder.initial_states(memory)
        found = {"values": memory.values, "keys": memory.keys, **_named("state", states)}
        # Which the converter would not know of a reshaped tensor
        return {name: tf.ensure_shape(value, value.shape) for name, value in found.items()}

    features = tf.TensorSpec((None, config.locations, config.channels), tf.float32, "features")
    return _converted(start, [features], about)


def _step(network: CaptionModel, about: Mapping[str, str]) -> bytes:
    config, decoder = network.config, network.decoder
    U, A, L = config.hidden_size, config.attention_dim, config.locations

    def step(tokens: Any, *more: Any) -> dict[str, Any]:
        *states, values, keys = more
        output, after = decoder.step(decoder.words(tokens), list(states), Memory(values, keys))
        log_probs = keras.ops.log_softmax(decoder.logits(output))
        return {"log_probs": log_probs, "attention": output.attention, **_named("next_state", after)}

    states = [tf.TensorSpec((None, None, U), tf.float32, f"state_{n + 1}") for n in range(len(decoder.start))]
    memory = [tf.TensorSpec((None, L, U), tf.float32, "values"), tf.TensorSpec((None, L, A), tf.float32, "keys")]
    return _converted(step, [tf.TensorSpec((None, None), tf.int32, "tokens"), *states, *memory], about)


def _named(name: str, values: list[Any]) -> dict[str, Any]:
    return {f"{name}_{number}": value for number, value in enumerate(values, start=1)}


def _converted(function: Any, inputs: list[tf.TensorSpec], about: Mapping[str, str] | None = None) -> bytes:
    load_onnxruntime()  # before tf2onnx does
    import onnx
    import tf2onnx

    graph = tf.function(function, input_signature=inputs, autograph=False)
    network, _ = tf2onnx.convert.from_function(graph, input_signature=inputs, opset=OPSET)
    for value in (*network.graph.input, *network.graph.output):
        _name_axes(value)
    onnx.helper.set_model_props(network, dict(about or {}))
    return bytes(network.SerializeToString())


def _name_axes(value: Any) -> None:
    """Name the axes of an input or output that may have any length: the first, and of tokens and states the second."""
    for name, axis in zip((IMAGES, SENTENCES), value.type.tensor_type.shape.dim, strict=False):
        if axis.dim_value <= 0:
            axis.dim_param = name

import json
from dataclasses import asdict

import keras
import numpy as np
import onnx
import pytest

from captioner.decoding.captions import generate
from captioner.errors import CaptionerError
from captioner.export import litert
from captioner.export.onnx import convert_encoder, export_onnx, metadata
from captioner.model_files.encoder_memory import ALLOWED
from captioner.models import networks
from captioner.runtime.encoder import LiteRTEncoder
from captioner.system.native_stderr import load_onnxruntime
from captioner.text import FALSE_SPACES, SPECIAL_TOKENS, Vocabulary

pytestmark = pytest.mark.filterwarnings("ignore")  # of tf2onnx, which is not ours


class InOnnx:
    """The networks as onnxruntime runs them, in the place of a decoder."""

    def __init__(self, folder):
        onnxruntime = load_onnxruntime()
        self.networks = {
            name: onnxruntime.InferenceSession(str(folder / f"{name}.onnx"), providers=["CPUExecutionProvider"])
            for name in ("encoder", "start", "step")
        }

    def run(self, name, **inputs):
        network = self.networks[name]
        return dict(zip([each.name for each in network.get_outputs()], network.run(None, inputs), strict=True))

    def start(self, features):
        found = self.run("start", features=features)
        memory = {name: found.pop(name) for name in ("values", "keys")}

        def step(tokens, states):
            given = {f"state_{number}": state for number, state in enumerate(states, start=1)}
            after = self.run("step", tokens=tokens, **given, **memory)
            return after["log_probs"], [after[f"next_{name}"] for name in given], after["attention"]

        return step, [found[name] for name in sorted(found)]


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_onnxruntime_finds_what_keras_finds(tmp_path, save_captioner, encoder, network, config, monkeypatch, cell):
    monkeypatch.setattr(networks, "build_encoder", lambda config, weights: encoder)
    export_onnx(save_captioner(tmp_path / "model", cell), "imagenet", tmp_path / "out")
    found = InOnnx(tmp_path / "out")
    images = np.random.default_rng(4).uniform(-1, 1, (3, 75, 75, 3)).astype(np.float32)
    features = keras.ops.convert_to_numpy(encoder(images, training=False))
    np.testing.assert_allclose(found.run("encoder", images=images)["features"], features, atol=1e-5)
    expected = generate(network(cell), features, config(cell).decoding)
    for beam, same in zip(generate(found, features, config(cell).decoding), expected, strict=True):
        assert [each.tokens for each in beam] == [each.tokens for each in same]
        for one, other in zip(beam, same, strict=True):
            assert one.score == pytest.approx(other.score, abs=1e-4)
            np.testing.assert_allclose(one.attention, other.attention, atol=1e-4)


def test_each_network_names_its_axes_and_tells_what_a_client_needs(
    tmp_path, save_captioner, encoder, vocabulary, config, monkeypatch
):
    monkeypatch.setattr(networks, "build_encoder", lambda config, weights: encoder)
    export_onnx(save_captioner(tmp_path / "model", "lstm"), "imagenet", tmp_path / "out")
    axes = {}
    for name in ("encoder", "start", "step"):
        network = onnx.load(str(tmp_path / "out" / f"{name}.onnx"))
        for value in (*network.graph.input, *network.graph.output):
            shape = value.type.tensor_type.shape.dim
            axes[f"{name} {value.name}"] = [axis.dim_param or axis.dim_value for axis in shape]
        about = {each.key: json.loads(each.value) for each in network.metadata_props}
        assert about["tokens"] == list(vocabulary.tokens)
        assert (about["image_size"], about["image_range"]) == (75, [-1, 1])
        assert (about["start_token"], about["end_token"], about["banned_tokens"]) == (1, 2, [0, 1, 3])
        decoding = asdict(config("lstm").decoding)
        assert {name: about[name] for name in decoding} == decoding
        assert about["false_spaces"] == []
    states = {f"state_{n}": 8 for n in (1, 2)}
    assert axes == {
        "encoder images": ["images", 75, 75, 3],
        **{f"{name} features": ["images", 4, 6] for name in ("encoder", "start")},
        **{f"{name} values": ["images", 4, 8] for name in ("start", "step")},
        **{f"{name} keys": ["images", 4, 7] for name in ("start", "step")},
        **{f"start {name}": ["images", 1, units] for name, units in states.items()},
        **{f"step {name}": ["images", "sentences", units] for name, units in states.items()},
        **{f"step next_{name}": ["images", "sentences", units] for name, units in states.items()},
        "step tokens": ["images", "sentences"],
        "step log_probs": ["images", "sentences", len(vocabulary)],
        "step attention": ["images", "sentences", 4],
    }
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("encoder.onnx", "export.json", "start.onnx", "step.onnx"),
    ]


def test_a_script_without_spaces_has_the_expressions_that_take_them_out(config):
    about = metadata(config("rnn"), Vocabulary([*SPECIAL_TOKENS, *"一只狗"]))
    assert json.loads(about["false_spaces"]) == list(FALSE_SPACES)


def test_a_conversion_that_would_take_too_much_memory_is_refused(
    tmp_path, save_captioner, encoder, monkeypatch, layered_encoder
):
    monkeypatch.setattr(networks, "build_encoder", lambda config, weights: encoder)
    monkeypatch.setattr(networks, "check_encoder", lambda path, config: None)
    monkeypatch.setenv(ALLOWED, "0")
    with pytest.raises(CaptionerError, match=r"million weights into ONNX would take 0\.0 GB, expected at most 0;"):
        export_onnx(save_captioner(tmp_path / "model", "rnn"), "imagenet", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(CaptionerError, match="into ONNX would take"):
        convert_encoder(layered_encoder)


@pytest.fixture(scope="module")
def converted(layered_encoder):
    return convert_encoder(layered_encoder)


def test_features_are_those_of_keras_and_litert(layered_encoder, converted):
    session = load_onnxruntime().InferenceSession(converted, providers=["CPUExecutionProvider"])
    in_litert = LiteRTEncoder(litert.convert_encoder(layered_encoder))
    images = np.random.default_rng(1).uniform(-1, 1, (3, 75, 75, 3)).astype(np.float32)
    expected = keras.ops.convert_to_numpy(layered_encoder(images, training=False))
    for image, features in zip(images, expected, strict=True):
        (found,) = session.run(None, {session.get_inputs()[0].name: image[None]})
        np.testing.assert_allclose(found[0], features, atol=1e-5 * np.abs(features).max())
        np.testing.assert_allclose(found[0], in_litert(image), atol=1e-5 * np.abs(features).max())


def test_what_is_kept_is_plain_onnx_with_the_normalisation_in_the_weights(converted):
    network = onnx.load_from_string(converted)
    assert {node.domain for node in network.graph.node} == {""}
    assert not {node.op_type for node in network.graph.node} & {"BatchNormalization", "Mul", "Sub", "Identity"}
    assert network.graph.input[0].type.tensor_type.shape.dim[1].dim_value == 75

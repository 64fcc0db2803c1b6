import keras
import numpy as np
import pytest

from captioner.decoding.captions import generate
from captioner.export.onnx import export_onnx
from captioner.models import networks

onnxruntime = pytest.importorskip("onnxruntime", reason="pip install -r requirements-onnx.txt")
pytest.importorskip("tf2onnx", reason="pip install -r requirements-onnx.txt")
pytestmark = pytest.mark.filterwarnings("ignore")  # of tf2onnx, which is not ours


class InOnnx:
    """The networks as onnxruntime runs them, in the place of a decoder."""

    def __init__(self, folder):
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

"""The networks on another Keras backend, which a process can choose only once."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from captioner.config.decoding import DecodingConfig
from captioner.config.serialization import to_json
from captioner.decoding.captions import generate

CELLS = ["rnn", "gru", "lstm"]

ON_JAX = """
import json
import sys
from pathlib import Path
import keras
import numpy as np
import pytest
from captioner.config.model import DecoderConfig
from captioner.config.decoding import DecodingConfig
from captioner.config.serialization import from_json
from captioner.models.captioner import CaptionModel
from captioner.decoding.captions import generate
assert keras.backend.backend() == "jax"
where = Path(sys.argv[1])
given, answers = dict(np.load(where / "inputs.npz")), {}
for cell in ("rnn", "gru", "lstm"):
    model = CaptionModel(from_json(DecoderConfig, json.loads((where / f"{cell}.json").read_text()), cell))
    model.load_weights(where / f"{cell}.weights.h5")
    answers[cell] = keras.ops.convert_to_numpy(model(given))
beams = generate(model, given["features"], DecodingConfig(beam_width=3, length_penalty=0.7, max_length=6))
answers["words"] = np.array([word for beam in beams for found in beam for word in (*found.tokens, -1)])
np.savez(where / "answers.npz", **answers)
assert "tensorflow" not in sys.modules
"""


@pytest.mark.long
def test_jax_gives_the_logits_and_captions_of_tensorflow(tmp_path, network, features):
    tokens = np.random.default_rng(20).integers(10, size=(3, 2, 4)).astype(np.int32)
    inputs = {"features": features, "tokens": tokens, "positions": np.int32([0, 5, 11, 23])}
    np.savez(tmp_path / "inputs.npz", **inputs)
    expected = {}
    for cell in CELLS:
        model = network(cell)
        model.save_weights(tmp_path / f"{cell}.weights.h5")
        (tmp_path / f"{cell}.json").write_text(json.dumps(to_json(model.config)))
        expected[cell] = keras.ops.convert_to_numpy(model(inputs))
    beams = generate(model, features, DecodingConfig(beam_width=3, length_penalty=0.7, max_length=6))
    expected["words"] = [word for beam in beams for found in beam for word in (*found.tokens, -1)]
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", ON_JAX, tmp_path], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answers = np.load(tmp_path / "answers.npz")
    for name, value in expected.items():
        np.testing.assert_allclose(answers[name], value, atol=1e-5, err_msg=name)

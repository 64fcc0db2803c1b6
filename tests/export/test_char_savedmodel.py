import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from captioner.config.model import CELLS, CharModelConfig
from captioner.errors import CaptionerError
from captioner.export.char_savedmodel import DEFAULTS, export_char_savedmodel
from captioner.model_files.directory import WEIGHTS, write_model
from captioner.runtime.char_lm import LanguageModel, load_char_model
from captioner.runtime.char_network import weight_shapes
from captioner.text import CharacterVocabulary
from tests.export.serving import RequestError, Server

TEXT = "ab cd\n나라 e"
PROMPTS = ["나라 a", "", "ab cd\n나라 e" * 3, "e"]


def save(directory: Path, cell: str = "rnn", **more: np.ndarray) -> Path:
    """Write a character model with random weights."""
    vocabulary = CharacterVocabulary.build(TEXT)
    config = CharModelConfig(cell, 2, 8, 5, 0.25, True, len(vocabulary))
    rng = np.random.default_rng(3)
    weights = {name: rng.uniform(-1, 1, shape).astype(np.float32) for name, shape in weight_shapes(config).items()}
    write_model(directory, config, vocabulary, {WEIGHTS: weights | more})
    return directory


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """For each cell the model and its SavedModel, loaded; a reference to that must be kept."""

    def make(cell):
        folder = tmp_path_factory.mktemp(cell)
        export_char_savedmodel(save(folder / "model", cell), folder / "export")
        return LanguageModel.load(folder / "model"), tf.saved_model.load(str(folder / "export")), folder

    return {cell: make(cell) for cell in CELLS}


@pytest.fixture
def model(exported):
    return exported["rnn"][0]


@pytest.fixture
def write(exported):
    """Call the signature `continue_prompt` of the plain recurrence with the defaults of `predict`."""

    def run(prompts, **settings):
        names = ("length", "temperature", "top_k", "top_p", "seed")
        scalars = {name: DEFAULTS[name] for name in names} | settings
        # The signature takes numbers of its own types alone, and Python's fit them.
        found = exported["rnn"][1].signatures["continue_prompt"](
            prompts=tf.constant(prompts, tf.string, (len(prompts),)), **scalars
        )
        return [[text.decode() for text in found[name].numpy()] for name in ("text", "continuation")]

    return run


def shapes(specs):
    return {name: (spec.dtype.name, spec.shape.as_list()) for name, spec in specs.items()}


@pytest.mark.parametrize(("cell", "states"), [("rnn", 2), ("gru", 2), ("lstm", 4)])
def test_what_goes_in_and_comes_out(exported, cell, states):
    signatures = exported[cell][1].signatures
    state = {f"state_{number}": ("float32", [None, 8]) for number in range(1, states + 1)}
    assert shapes(signatures["step"].structured_input_signature[1]) == {"characters": ("string", [None]), **state}
    assert shapes(signatures["step"].structured_outputs) == {"logits": ("float32", [None, 11]), **state}
    assert shapes(signatures["vocabulary"].structured_outputs) == {"tokens": ("string", [11])}
    settings = {
        **{scalar: ("int32", []) for scalar in ("length", "top_k", "seed")},
        **{scalar: ("float32", []) for scalar in ("temperature", "top_p")},
    }
    for name, more in (("continue_prompt", settings), ("serving_default", {})):
        assert shapes(signatures[name].structured_input_signature[1]) == {"prompts": ("string", [None]), **more}
        assert shapes(signatures[name].structured_outputs) == {
            "text": ("string", [None]),
            "continuation": ("string", [None]),
        }
    assert set(signatures) == {"step", "vocabulary", "continue_prompt", "serving_default"}


@pytest.mark.parametrize("cell", CELLS)
def test_a_step_is_that_of_numpy(exported, cell):
    model, loaded, _ = exported[cell]
    expected_states = model.network.initial_states(2)
    states = {f"state_{number}": tf.constant(state) for number, state in enumerate(expected_states, start=1)}
    for characters in ([""] * 2, ["나", "a"], ["?", "\n"], ["ab", "<unk>"], ["", " "]):
        found = loaded.signatures["step"](characters=tf.constant(characters), **states)
        tokens = [0 if character == "" else model.vocabulary.encode(character[:1])[0] for character in characters]
        if characters[0] == "ab":  # no single character
            tokens = [1, 1]
        log_probs, expected_states = model.network(np.array(tokens)[:, None], expected_states)
        np.testing.assert_allclose(tf.nn.log_softmax(found.pop("logits")), log_probs[:, 0], atol=1e-5)
        assert sorted(found) == sorted(states)
        for number, expected in enumerate(expected_states, start=1):
            np.testing.assert_allclose(found[f"state_{number}"], expected, atol=1e-5)
        states = found


def test_the_vocabulary_names_the_columns_of_the_logits(exported, model):
    tokens = exported["rnn"][1].signatures["vocabulary"]()["tokens"].numpy()
    assert [token.decode() for token in tokens] == list(model.vocabulary.tokens)


@pytest.mark.parametrize("cell", CELLS)
def test_prompts_of_all_lengths_are_gone_on_with_as_predict_does(exported, cell):
    model, loaded, _ = exported[cell]
    found = loaded.continue_prompt(PROMPTS, length=40, temperature=0.0)
    expected = ["".join(model.generate(prompt, 40, temperature=0)) for prompt in PROMPTS]
    assert [text.decode() for text in found["continuation"].numpy()] == expected
    assert [text.decode() for text in found["text"].numpy()] == [
        prompt + more for prompt, more in zip(PROMPTS, expected, strict=True)
    ]


def test_a_seed_makes_a_text(write):
    texts = write(["ab"] * 3, length=30, seed=5)[0]
    assert len(set(texts)) == 3  # each place in the batch draws its own
    assert write(["ab"] * 3, length=30, seed=5)[0] == texts
    assert write(["ab"] * 3, length=30, seed=6)[0] != texts
    assert write(["ab"] * 3, length=12, seed=5)[0] == [text[:14] for text in texts]


def test_a_text_does_not_depend_on_those_beside_it(write):
    assert write(PROMPTS[:1], length=30, seed=5)[0] == write(PROMPTS, length=30, seed=5)[0][:1]
    assert write([*PROMPTS[:3], "나라" * 30], length=30, seed=5)[0][:3] == write(PROMPTS, length=30, seed=5)[0][:3]


def test_only_characters_are_made(exported, tmp_path):
    bias = np.zeros(11, np.float32)
    bias[:2] = 50  # the model is all for <start> and <unk>
    export_char_savedmodel(save(tmp_path / "model", **{"output_projection/bias": bias}), tmp_path / "export")
    loaded = tf.saved_model.load(str(tmp_path / "export"))
    for temperature in (0.0, 1.0):
        found = loaded.continue_prompt(["a"] * 4, length=200, temperature=temperature)["continuation"].numpy()
        assert set("".join(text.decode() for text in found)) <= set(TEXT)
        assert {len(text.decode()) for text in found} == {200}


def test_what_the_model_does_not_know_is_left_out_of_the_prompt(write):
    assert write(["a?한b<unk>"], length=9) == write(["ab"], length=9)  # the letters of <unk> are unknown as well
    assert write(["?"], length=9) == write([""], length=9)
    assert write([b"\xffa\xeb\x82b"], length=9) == write(["ab"], length=9)  # not UTF-8


def test_settings_reach_the_sampler(write):
    likeliest = write(["ab"], length=30, temperature=0.0)
    assert write(["ab"], length=30, top_k=1) == likeliest
    assert write(["ab"], length=30, top_p=1e-3) == likeliest
    assert write(["ab"], length=30, temperature=1e-6) == likeliest
    assert write(["ab"], length=30) != likeliest


def test_nothing_to_write_and_nobody_to_write_to(write):
    assert write(PROMPTS, length=0) == [PROMPTS, [""] * 4]
    assert write([], length=3) == [[], []]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"length": -1}, "length: expected 0 or more"),
        ({"temperature": -0.5}, "temperature: expected 0 or more"),
        ({"temperature": float("nan")}, "temperature: expected 0 or more"),
        ({"top_k": -1}, "top_k: expected 0, which means all, or more"),
        ({"top_p": 0.0}, "top_p: expected more than 0; 1 means all"),
    ],
    ids=repr,
)
def test_settings_out_of_bounds_are_named(write, setting, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        write(["ab"], **setting)


def test_prompts_alone_are_gone_on_with_by_default(exported):
    loaded = exported["rnn"][1]
    found = loaded.signatures["serving_default"](prompts=tf.constant(PROMPTS))
    texts, continuations = ([text.decode() for text in found[name].numpy()] for name in ("text", "continuation"))
    assert texts == [prompt + more for prompt, more in zip(PROMPTS, continuations, strict=True)]
    assert {len(more) for more in continuations} == {DEFAULTS["length"]}
    assert len(set(continuations)) == len(PROMPTS)
    again = loaded.serving_default(tf.constant([*reversed(PROMPTS), PROMPTS[0]]))  # a place has no influence
    assert [text.decode() for text in again["text"].numpy()] == [*reversed(texts), texts[0]]


def test_a_server_takes_rows_of_prompts_and_joins_requests(exported):
    server = Server(exported["rnn"][2] / "export")
    expected = exported["rnn"][1].serving_default(tf.constant(PROMPTS))
    rows = [
        {"continuation": more.decode(), "text": text.decode()}
        for text, more in zip(expected["text"].numpy(), expected["continuation"].numpy(), strict=True)
    ]
    assert server.predict(json.dumps({"instances": PROMPTS})) == {"predictions": rows}
    parts = [json.dumps({"instances": part}) for part in (PROMPTS[:1], PROMPTS[1:])]
    assert server.predict_batched(*parts) == [{"predictions": rows[:1]}, {"predictions": rows[1:]}]


def test_settings_go_in_columns_with_all_that_the_signature_names(exported, write):
    server = Server(exported["rnn"][2] / "export")
    request = {"signature_name": "continue_prompt", "inputs": {"prompts": ["나라", "a"], **DEFAULTS, "length": 9}}
    assert server.predict(json.dumps(request))["outputs"]["text"] == write(["나라", "a"], length=9)[0]
    del request["inputs"]["seed"]
    with pytest.raises(RequestError, match="Missing named input: seed"):
        server.predict(json.dumps(request))


BARE = """
import sys
sys.modules["captioner"] = sys.modules["keras"] = None  # importing them fails
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
texts = model.signatures["continue_prompt"](
    prompts=tf.constant(["나라 a", "b"]), length=20, temperature=0.0, top_k=0, top_p=1.0, seed=0
)["text"]
state = tf.zeros((1, 8))
step = model.signatures["step"](characters=tf.constant(["나"]), state_1=state, state_2=state)
sys.stdout.buffer.write(tf.io.serialize_tensor(texts).numpy())
"""


def test_it_needs_tensorflow_alone(exported, write, tmp_path):
    shutil.copytree(exported["rnn"][2] / "export", tmp_path / "moved")
    done = subprocess.run([sys.executable, "-I", "-c", BARE, "moved"], capture_output=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    texts = [text.decode() for text in tf.io.parse_tensor(done.stdout, tf.string).numpy()]
    assert texts == write(["나라 a", "b"], length=20, temperature=0.0)[0]


def test_a_former_export_is_replaced_and_nothing_else(tmp_path, exported):
    folder = exported["rnn"][2]
    export_char_savedmodel(folder / "model", tmp_path / "out")
    export_char_savedmodel(exported["lstm"][2] / "model", tmp_path / "out")
    assert len(tf.saved_model.load(str(tmp_path / "out")).signatures["step"].structured_outputs) == 5
    with pytest.raises(CaptionerError, match="with other things in it"):
        export_char_savedmodel(folder / "model", folder / "model")
    assert LanguageModel.load(folder / "model")


@pytest.mark.parametrize(
    ("error", "expected", "message"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt, None),
        (
            tf.errors.ResourceExhaustedError(
                None, None, "{{node x}} variables/part; No space left on device [Op:SaveV2]"
            ),
            CaptionerError,
            r"cannot write the SavedModel: variables/part; No space left on device$",
        ),
    ],
    ids=["interrupt", "disk"],
)
def test_an_export_that_fails_leaves_nothing(exported, tmp_path, monkeypatch, error, expected, message):
    def half(module, path, signatures):
        (Path(path) / "saved_model.pb").write_bytes(b"half")
        raise error

    monkeypatch.setattr(tf.saved_model, "save", half)
    with pytest.raises(expected, match=message):
        export_char_savedmodel(exported["rnn"][2] / "model", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_model_is_named(tmp_path):
    config, vocabulary, weights = load_char_model(save(tmp_path / "model"))
    write_model(tmp_path / "model", replace(config, hidden_size=9), vocabulary, {WEIGHTS: weights})
    with pytest.raises(CaptionerError, match=r"weights\.npz: cell_1/kernel"):
        export_char_savedmodel(tmp_path / "model", tmp_path / "out")
    assert not (tmp_path / "out").exists()

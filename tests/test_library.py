import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import captioner
from captioner import encoder_network, library
from captioner.cli.main import main
from captioner.config.decoding import DecodingConfig
from captioner.config.model import CalibrationConfig, DecoderConfig, EncoderConfig, ModelConfig
from captioner.errors import CaptionerError, UsageError
from captioner.export.bundle import export_bundle
from captioner.model_files.calibration import Calibration, calibration_shapes
from captioner.model_files.directory import CaptionerDirectory, describe
from captioner.models import networks
from captioner.models.captioner import CaptionModel
from captioner.models.directory import save_model
from captioner.text import Vocabulary

ROOT = Path(captioner.__file__).parents[1]


@pytest.fixture(scope="session")
def encoder() -> keras.Model:
    """Images (B, 75, 75, 3) to features (B, 4, 6)."""
    image = keras.Input((75, 75, 3))
    model = keras.Model(image, keras.layers.Reshape((4, 6))(keras.layers.Conv2D(6, 37, strides=37)(image)))
    draw = np.random.default_rng(21)
    model.set_weights([draw.uniform(-0.1, 0.1, weight.shape) for weight in model.weights])
    return model


@pytest.fixture
def built(encoder, monkeypatch, tmp_path, inception) -> list[str]:
    """The weights that encoders were built with."""
    asked = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(networks, "build_encoder", lambda config, weights: asked.append(weights) or encoder)
    return asked


@pytest.fixture
def directory(tmp_path, built) -> Path:
    vocabulary = Vocabulary.build([["a", "dog", "runs", "the", "cat", "강아지"]])
    config = ModelConfig(
        EncoderConfig(feature_layer="mixed2", image_size=75),
        DecoderConfig("lstm", 8, 5, 7, 0.0, len(vocabulary), locations=4, channels=6),
        DecodingConfig(beam_width=3, length_penalty=0.7, max_length=6),
    )
    network = CaptionModel(config.decoder)
    draw = np.random.default_rng(1)
    network.set_weights([draw.uniform(-2, 2, weight.shape) for weight in network.weights])
    save_model(tmp_path / "model", config, vocabulary, network)
    return tmp_path / "model"


@pytest.fixture
def photos() -> list[np.ndarray]:
    draw = np.random.default_rng(22)
    return [draw.integers(256, size=(40, 60, 3)).astype(np.uint8) // (number + 1) for number in range(5)]


@pytest.fixture
def cold(monkeypatch):
    """Returns a function after which Keras must not be asked for."""

    def forbid():
        def load_keras():
            raise AssertionError("Keras is not needed")

        for module in (library, encoder_network):
            monkeypatch.setattr(module, "load_keras", load_keras)

    return forbid


def test_both_ways_say_the_same(directory, photos):
    options = {"num_captions": 3, "beam_width": 4, "length_penalty": 0.5}
    keras_captions = library.Captioner.load(directory, backend="keras", **options)(photos)
    for found, expected in zip(library.Captioner.load(directory, **options)(photos), keras_captions, strict=True):
        assert [each.text for each in found.candidates] == [each.text for each in expected.candidates]
        np.testing.assert_allclose(found.score, expected.score, atol=1e-5)
        np.testing.assert_allclose(found.attention, expected.attention, atol=1e-5)
    assert len({each.text for each in keras_captions}) > 1


def test_the_networks_are_prepared_once(directory, built, photos, cold, inception, logged):
    logged.clear()
    first = captioner.Captioner.load(str(directory))(photos[0])
    assert built == [str(inception)]
    (line,) = logged
    assert line.startswith(f"preparing {directory} for fast starts")
    cold()
    again = captioner.Captioner.load(directory)(photos[0])
    assert (again.text, again.score) == (first.text, first.score)
    assert len(logged) == 1
    assert built == [str(inception)]


def test_a_damaged_encoder_is_prepared_again(directory, built, photos, cold, tmp_path, logged):
    first = library.Captioner.load(directory)(photos[0])
    (path,) = (tmp_path / "cache" / "captioner" / "litert").glob("encoder-*")
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 1  # of the encoder's two networks, the one for LiteRT
    path.write_bytes(content)
    logged.clear()
    assert library.Captioner.load(directory)(photos[0]).text == first.text
    assert len(logged) == 1
    assert len(built) == 2
    cold()
    library.Captioner.load(directory)


def test_other_weights_of_the_encoder_make_another_one(directory, built, tmp_path, monkeypatch, cold):
    weights = tmp_path / "weights.h5"
    weights.write_bytes(b"one")
    library.Captioner.load(directory, weights)
    monkeypatch.setenv("CAPTIONER_ENCODER_WEIGHTS", str(weights))
    library.Captioner.load(directory)
    assert built == [str(weights)]
    weights.write_bytes(b"two")
    library.Captioner.load(directory)
    assert built == [str(weights)] * 2
    cold()
    library.Captioner.load(directory)


def test_models_share_their_encoder(directory, built, photos, inception):
    library.Captioner.load(directory)
    model = CaptionerDirectory.read(directory)
    save_model(directory.with_name("other"), model.config, model.vocabulary(), CaptionModel(model.config.decoder))
    library.Captioner.load(directory.with_name("other"))
    assert built == [str(inception)]


def export(directory, output):
    model = CaptionerDirectory.read(directory)
    network = encoder_network.encoder_network(model, "imagenet")
    export_bundle(model, network, network, output)
    return output


def test_a_ready_bundle_needs_neither_cache_nor_weights_nor_keras(
    directory, photos, tmp_path, monkeypatch, cold, logged
):
    first = library.Captioner.load(directory)(photos[0])
    ready = export(directory, tmp_path / "ready")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    monkeypatch.setenv("CAPTIONER_ENCODER_WEIGHTS", str(tmp_path / "gone.h5"))
    cold()
    logged.clear()
    found = library.Captioner.load(ready)
    caption = found(photos[0])
    assert (caption.text, caption.score) == (first.text, first.score)
    assert logged == []
    (note,) = (path for path in (tmp_path / "empty").rglob("*") if path.is_file())  # made elsewhere, and tried once
    assert note.name.startswith("tried-")


def test_trained_anew_in_its_place_a_bundle_is_none_any_more(directory, photos, tmp_path, built, inception):
    ready = export(directory, tmp_path / "ready")
    old = library.Captioner.load(ready)(photos[0])
    model = CaptionerDirectory.read(ready)
    save_model(ready, model.config, model.vocabulary(), CaptionModel(model.config.decoder))
    assert library.Captioner.load(ready)(photos[0]).score != old.score
    assert built == [str(inception)]  # for the export


def test_a_bundle_is_a_model_for_keras_too(directory, photos, tmp_path):
    ready = export(directory, tmp_path / "ready")
    expected = library.Captioner.load(ready)(photos[0])
    assert library.Captioner.load(ready, backend="keras")(photos[0]).text == expected.text
    (ready / "encoder.tflite").write_bytes(b"damaged")
    with pytest.raises(CaptionerError, match=r"encoder\.tflite is damaged"):
        library.Captioner.load(ready)


def test_a_cache_that_cannot_be_written_costs_time_alone(directory, photos, tmp_path, monkeypatch, logged):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    logged.clear()
    assert library.Captioner.load(directory)(photos[0]).text
    assert "cannot be kept" in logged[1]
    assert str(tmp_path / "file") in logged[1]


def test_what_is_wrong_is_told_as_by_the_commands(directory, tmp_path):
    with pytest.raises(CaptionerError, match="is no model directory"):
        library.Captioner.load(tmp_path)
    with pytest.raises(ValueError, match="expected one of litert, keras, found 'onnx'"):
        library.Captioner.load(directory, backend="onnx")
    with pytest.raises(ValueError, match="expected one of auto, int8, float32, found 'float16'"):
        library.Captioner.load(directory, precision="float16")
    with pytest.raises(CaptionerError, match=r"--precision int8: it is not known how to round the encoder of .*model"):
        library.Captioner.load(directory, precision="int8")
    library.Captioner.load(directory)
    whole = json.loads((directory / "config.json").read_text())
    whole["model"]["decoder"]["locations"] = 9
    del whole["digest"]
    (directory / "config.json").write_text(json.dumps(whole))
    with pytest.raises(CaptionerError, match=r"made for features \(9, 6\), but .*'mixed2'.* gives \(4, 6\)"):
        library.Captioner.load(directory)


@pytest.mark.parametrize("change", [{"image_size": 2048}, {"network": "ConvNeXtXLarge"}])
@pytest.mark.parametrize("load", [captioner.Captioner.load, networks.load_networks])
def test_an_encoder_that_would_take_too_much_memory_is_refused_before_it_is_built(directory, built, load, change):
    """Evaluation, exports, `--init-from` and `--teacher` come through `load_networks`."""
    path = directory / "config.json"
    config = json.loads(path.read_text("utf-8"))
    config["model"]["encoder"] |= change
    del config["digest"]
    path.write_text(json.dumps(config), "utf-8")
    with pytest.raises(CaptionerError, match=r"config.json: the encoder \w+ with an image_size of \d+ would"):
        load(directory)
    assert built == []


def test_the_package_is_imported_at_once_and_a_warm_start_needs_no_framework(directory, photos, tmp_path):
    library.Captioner.load(directory)
    Image.fromarray(photos[0]).save(tmp_path / "photo.png")
    code = f"""
import sys
import captioner
assert not {{"numpy", "PIL", "keras"}} & set(sys.modules)
assert captioner.Captioner is captioner.library.Captioner
load = captioner.Captioner.load
print(load({str(directory)!r})({str(tmp_path / "photo.png")!r}))
heavy = {{"tensorflow", "keras", "jax", "matplotlib", "nltk", "pandas", "tqdm", "h5py", "onnx", "onnxruntime"}}
print(sorted({{name.split(".")[0] for name in sys.modules}} & heavy))
print(*set(map(str, load({str(directory)!r})([{str(tmp_path / "photo.png")!r}] * 40))))
print(sorted({{name.split(".")[0] for name in sys.modules}} & heavy))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    caption = library.Captioner.load(directory)(photos[0])
    assert done.stdout == f"{caption}\n[]\n{caption}\n[]\n"
    # LiteRT has no log level; only a command may close stderr
    assert done.stderr in ("", "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n")
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        captioner.Nothing  # noqa: B018


def test_what_is_downloaded_is_prepared(directory, built, photos, cold, monkeypatch, capsys, inception):
    monkeypatch.setattr("captioner.model_files.encoder_download.download_encoder", lambda: True)
    monkeypatch.setattr("captioner.cli.download.shipped_model", lambda: directory)
    assert main(["download", "encoder"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    fetched, preparing, ready = said.err.splitlines()
    assert fetched == f"captioner: InceptionV3's weights are in {inception}"
    assert preparing.startswith(f"captioner: preparing {directory} for fast starts")
    assert ready == f"captioner: {directory} is ready: predict uses it from now on"
    cold()
    inception.unlink()  # from now on it is not needed
    assert library.Captioner.load(directory)(photos[0]).text
    monkeypatch.setattr("captioner.model_files.encoder_download.download_encoder", lambda: False)
    assert main(["download", "encoder"]) == 0
    assert capsys.readouterr().err.splitlines() == [fetched.replace("are in", "were already in"), ready]


@pytest.mark.parametrize("network", [b"", b"no network", bytes(1000), "half"])
def test_a_network_that_is_none_is_named_though_its_checksum_is_right(directory, tmp_path, network):
    ready = export(directory, tmp_path / "ready")
    if network == "half":
        network = (ready / "encoder.tflite").read_bytes()[:5000]
    (ready / "encoder.tflite").write_bytes(network)
    model = CaptionerDirectory.read(ready)
    describe(ready, model.config, list(model.manifest))
    with pytest.raises(CaptionerError, match="is no network that LiteRT can run"):
        library.Captioner.load(ready)


def test_settings_of_the_wording_and_of_drawing_reach_both_backends(directory, photos, logged):
    logged.clear()
    options = {"begin": "the", "exclude": ["dog", "unicorn"], "max_length": 5, "num_captions": 3}
    for sampling in ({}, {"temperature": 1.5, "top_k": 4, "top_p": 0.9, "seed": 3}):
        litert, in_keras = (
            library.Captioner.load(directory, backend=backend, **options, **sampling)(photos)
            for backend in library.BACKENDS
        )
        texts = [[each.text for each in caption.candidates] for caption in litert]
        assert texts == [[each.text for each in caption.candidates] for caption in in_keras]
        words = [each.words for caption in litert for each in caption.candidates]
        assert {each[0] for each in words} == {"the"}
        assert not any("dog" in each for each in words)
        assert max(map(len, words)) <= 5
    assert "exclude: the model does not know 'unicorn', so no caption has it" in logged


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"temperature": -1.0}, "temperature: expected a value from 0.0 to 100.0, found -1.0"),
        ({"temperature": 1, "top_p": 0}, "top_p: expected a value from 1e-06 to 1.0, found 0.0"),
        ({"temperature": 1, "seed": "x"}, "seed: expected int or NoneType, found str 'x'"),
        ({"begin": 7}, "begin: expected str, found int '7'"),
        ({"begin": "a unicorn"}, "begin: the model does not know 'unicorn'"),
        ({"exclude": "dog"}, "exclude: expected a list of strings, found 'dog'"),
        ({"max_length": 10_000}, "max_length: expected a value from 1 to 1000, found 10000"),
        ({"max_length": 1000, "beam_width": 11}, "would follow 11000 words, expected at most"),
        ({"beam_width": 0}, "beam_width: expected a value from 1 to 1000, found 0"),
        ({"beam_width": "3"}, "beam_width: expected int, found str '3'"),
        ({"length_penalty": float("nan")}, "length_penalty: expected a value from 0.0 to 10.0, found nan"),
        ({"no_repeat_ngram_size": -1}, "no_repeat_ngram_size: expected a value from 0 to 1000, found -1"),
    ],
)
def test_settings_out_of_bounds_are_told_before_anything_is_prepared(directory, built, settings, complaint):
    with pytest.raises(CaptionerError, match=complaint):
        library.Captioner.load(directory, **settings)
    assert built == []


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"num_captions": 0}, "num_captions: expected a number from 1 to 100, found 0"),
        ({"num_captions": 101}, "num_captions: expected a number from 1 to 100, found 101"),
        ({"seed": 1}, "top_k, top_p, seed: .* give temperature"),
        ({"top_k": 5}, "top_k, top_p, seed: .* give temperature"),
        ({"precision": "int4"}, "precision: expected one of"),
        ({"backend": "torch"}, "backend: expected one of"),
    ],
)
def test_arguments_out_of_bounds_are_told_before_anything_is_prepared(directory, built, settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        library.Captioner.load(directory, **settings)
    assert built == []


def test_a_model_is_asked_how_sure_it_is_only_where_it_knows(directory):
    with pytest.raises(UsageError) as caught:
        library.require_calibration(directory)
    assert str(caught.value) == (
        f"{directory} does not know how sure it is; run `python -m captioner calibrate --model {directory}`"
    )
    captioner = library.Captioner.load(directory, "imagenet")
    with pytest.raises(UsageError, match="the model does not know how sure it is"):
        library.require_calibration(captioner)

    config = CalibrationConfig(points=3, directions=2)
    arrays = {name: np.ones(shape, np.float32) for name, shape in calibration_shapes(config, 6).items()}
    CaptionerDirectory.read(directory).calibrate(Calibration(config, arrays))
    library.require_calibration(directory)
    library.require_calibration(str(directory))
    library.require_calibration(library.Captioner.load(directory, "imagenet"))

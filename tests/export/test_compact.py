"""A whole model of the compact kind: what is kept of it, and that all who read it get the same."""

import json
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from captioner import encoder_network, library
from captioner.config.decoding import DecodingConfig
from captioner.config.model import DecoderConfig, EncoderConfig, ModelConfig
from captioner.errors import CaptionerError
from captioner.export.bundle import export_bundle
from captioner.export.compact import save_compact
from captioner.model_files.directory import CaptionerDirectory
from captioner.models import networks
from captioner.models.captioner import CaptionModel
from captioner.models.compact import CHANNELS, build_compact
from captioner.models.compact_file import find_tensors, load_compact
from captioner.models.folding import folded, rounded

SIZE = 80  # 4 x 4 places


def make(vocabulary, seed, channels=CHANNELS):
    """Return configuration, decoder and encoder with weights large enough to make the words differ."""
    config = ModelConfig(
        EncoderConfig("compact", "grid", SIZE),
        DecoderConfig("gru", 8, 5, 7, 0.3, len(vocabulary), locations=16, channels=channels),
        DecodingConfig(beam_width=3, length_penalty=0.7, max_length=6),
    )
    keras.utils.set_random_seed(seed)
    network, draw = CaptionModel(config.decoder), np.random.default_rng(seed)
    network.set_weights([draw.uniform(-3, 3, weight.shape) for weight in network.weights])
    return config, rounded(network), folded(build_compact(SIZE, channels=channels))


@pytest.fixture(scope="module")
def saved(tmp_path_factory, vocabulary):
    """Directories of two models, and the networks of the first."""
    root = tmp_path_factory.mktemp("compact")
    config, network, encoder = make(vocabulary, 1)
    save_compact(root / "model", config, vocabulary, network, encoder)
    other, other_network, other_encoder = make(vocabulary, 2)
    save_compact(root / "other", other, vocabulary, other_network, other_encoder)
    return root, network, encoder


@pytest.fixture
def directory(saved, tmp_path) -> Path:
    return Path(shutil.copytree(saved[0] / "model", tmp_path / "model"))


@pytest.fixture
def photos() -> list[np.ndarray]:
    draw = np.random.default_rng(22)
    return [draw.integers(256, size=(60, 70, 3)).astype(np.uint8) // (number + 1) for number in range(4)]


@pytest.fixture
def nothing_else(monkeypatch, tmp_path, no_inception):
    """No cache, and no other weights; returns the cache, which nobody is to put networks into."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CAPTIONER_ENCODER_WEIGHTS", str(tmp_path / "gone.h5"))
    return tmp_path / "cache"


def refuse_keras(monkeypatch):
    def load_keras():
        raise AssertionError("Keras is not needed")

    for module in (library, encoder_network):
        monkeypatch.setattr(module, "load_keras", load_keras)


def test_each_number_is_kept_once_in_half_precision(directory, saved):
    _, network, encoder = saved
    assert {path.name for path in directory.iterdir()} == {
        *("config.json", "vocabulary.json", "encoder.tflite", "decoder.npz"),
    }
    for name, count in (("encoder.tflite", encoder.count_params()), ("decoder.npz", network.count_params())):
        size = (directory / name).stat().st_size
        assert 2 * count < size < 2 * count + 25_000, name


def test_keras_reads_what_was_written(directory, saved):
    _, network, encoder = saved
    loaded, loaded_encoder = networks.load_networks(directory, "nowhere.h5")
    assert loaded.config.decoder.dropout == 0.3
    for ours, theirs in ((loaded.network, network), (loaded_encoder, encoder)):
        assert len(ours.get_weights()) == len(theirs.get_weights())
        for found, expected in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            assert found.dtype == np.float32
            np.testing.assert_array_equal(found, expected)


def test_keras_reads_a_model_of_an_earlier_version(tmp_path, vocabulary):
    config, network, encoder = make(vocabulary, 3, channels=288)
    save_compact(tmp_path, config, vocabulary, network, encoder)
    loaded = networks.load_networks(tmp_path)[1]
    assert loaded.output_shape == (None, 16, 288)
    for found, expected in zip(loaded.get_weights(), encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_litert_says_what_keras_says_without_cache_weights_or_keras(
    directory, photos, nothing_else, monkeypatch, logged
):
    options = {"num_captions": 3, "beam_width": 4, "length_penalty": 0.5}
    expected = library.Captioner.load(directory, backend="keras", **options)(photos)
    refuse_keras(monkeypatch)
    logged.clear()
    found = library.Captioner.load(directory, **options)(photos)
    for ours, theirs in zip(found, expected, strict=True):
        assert [each.text for each in ours.candidates] == [each.text for each in theirs.candidates]
        np.testing.assert_allclose(ours.score, theirs.score, atol=1e-3)
        np.testing.assert_allclose(ours.attention, theirs.attention, atol=1e-3)
    assert len({each.text for each in found}) > 1
    assert logged == []
    notes = [path.name for path in nothing_else.rglob("*") if path.is_file()]  # that the network was tried
    assert all(name.startswith("tried-") for name in notes)


def test_an_export_for_litert_is_the_model_itself(directory, photos, nothing_else, tmp_path, monkeypatch):
    refuse_keras(monkeypatch)
    model = CaptionerDirectory.read(directory)
    network = encoder_network.encoder_network(model, "imagenet", "float32")
    export_bundle(model, network, network, tmp_path / "ready")
    caption = library.Captioner.load(directory)(photos[0])
    assert library.Captioner.load(tmp_path / "ready")(photos[0]).score == caption.score
    assert {path.name for path in (tmp_path / "ready").iterdir()} == {
        *(path.name for path in directory.iterdir()),
        "export.json",
    }


@pytest.mark.parametrize("backend", ["litert", "keras"])
@pytest.mark.parametrize("name", ["encoder.tflite", "decoder.npz"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "missing", "of another model"])
def test_a_file_that_is_damaged_or_of_another_model_is_named(directory, saved, nothing_else, name, damage, backend):
    # So weights of before another training in the same place are never used: they are these files, or none.
    content = bytearray((directory / name).read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "missing":
        (directory / name).unlink()
    elif damage == "of another model":
        shutil.copy(saved[0] / "other" / name, directory)
    else:
        (directory / name).write_bytes(content if damage == "flipped" else content[:-1])
    with pytest.raises(CaptionerError, match=re.escape(str(directory / name))):
        library.Captioner.load(directory, backend=backend)


def test_trained_anew_in_the_same_place_it_is_the_new_one(directory, saved, photos, nothing_else):
    old = library.Captioner.load(directory)(photos[0])
    for path in (saved[0] / "other").iterdir():
        shutil.copy(path, directory)
    assert library.Captioner.load(directory)(photos[0]).score != old.score


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda tensors: tensors.pop("stem/kernel"), "stem/kernel is missing"),
        (lambda tensors: tensors.update({"grid/bias": 10**6}), "grid/bias is not tensor 1000000"),
        (lambda tensors: tensors.update({"grid/bias": tensors["stem/kernel"]}), "grid/bias is not tensor"),
        (lambda tensors: tensors.update({"grid/bias": "1"}), "tensors: expected an object of whole numbers"),
    ],
)
def test_a_configuration_changed_by_hand_is_named(directory, nothing_else, change, complaint):
    whole = json.loads((directory / "config.json").read_text())
    change(whole["tensors"])
    del whole["digest"]
    (directory / "config.json").write_text(json.dumps(whole))
    with pytest.raises(CaptionerError, match=rf"config\.json.*{complaint}"):
        networks.load_networks(directory)


def test_a_network_that_does_not_hold_the_weights_is_no_model(saved):
    root, _, encoder = saved
    with pytest.raises(ValueError, match=r"does not hold .*kernel as it is"):
        find_tensors((root / "other" / "encoder.tflite").read_bytes(), encoder)


def test_what_a_converter_leaves_out_is_zeros(saved):
    root = saved[0]
    tensors = CaptionerDirectory.read(root / "model").tensors
    assert tensors["stage_3_block_1_squeeze/bias"] == -1  # as it was initialised
    content = (root / "model" / "encoder.tflite").read_bytes()
    assert not load_compact(content, tensors, SIZE, CHANNELS).get_layer("stage_3_block_1_squeeze").bias.numpy().any()


def test_a_configuration_without_tensors_is_named(directory):
    whole = json.loads((directory / "config.json").read_text())
    del whole["tensors"], whole["digest"]
    (directory / "config.json").write_text(json.dumps(whole))
    assert CaptionerDirectory.read(directory).is_compact
    with pytest.raises(CaptionerError, match=r"config\.json: 'tensors' does not say where .*stem/kernel is missing"):
        networks.load_networks(directory)
